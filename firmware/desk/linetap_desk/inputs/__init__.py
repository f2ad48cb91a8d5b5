# SPDX-License-Identifier: Apache-2.0
"""Strict readers of external input: JSON, times as people type them, their tables, unsigned reports of units."""
