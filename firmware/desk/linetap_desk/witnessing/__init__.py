# SPDX-License-Identifier: Apache-2.0
"""Witnesses and time stamps of units' logs: asked, stored, and judged by a policy."""
