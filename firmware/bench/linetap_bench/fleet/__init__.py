# SPDX-License-Identifier: Apache-2.0
"""Many units towards a broker, from one process: with a unit's own outbox, feed and link."""
