# SPDX-License-Identifier: Apache-2.0
"""Input from outside, read strictly: JSON, times as people type them, their tables, unsigned reports of units."""
