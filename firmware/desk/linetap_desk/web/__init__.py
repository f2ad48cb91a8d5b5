# SPDX-License-Identifier: Apache-2.0
"""What every HTTP server of the desk shares: texts, templates, protection of requests, limits, and the loopback."""
