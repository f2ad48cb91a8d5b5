# SPDX-License-Identifier: Apache-2.0
"""Opening calls by request: one person requests, two others approve, the call is given out once (docs/release.md)."""
