# SPDX-License-Identifier: Apache-2.0
"""Many units against a broker, from one process: each with a unit's real outbox, feed and link."""
