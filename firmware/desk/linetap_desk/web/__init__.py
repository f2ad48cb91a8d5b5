# SPDX-License-Identifier: Apache-2.0
"""The common parts of all HTTP servers of the desk: texts, templates, protection of requests, limits, and the
loopback."""
