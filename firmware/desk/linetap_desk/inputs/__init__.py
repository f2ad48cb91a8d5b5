# SPDX-License-Identifier: Apache-2.0
"""What reaches the desk from outside, read strictly: JSON, times as people type them, unsigned reports of units."""
