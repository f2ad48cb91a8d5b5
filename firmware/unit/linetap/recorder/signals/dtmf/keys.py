# SPDX-License-Identifier: Apache-2.0
"""The sixteen keys and their frequencies."""

from __future__ import annotations

FRAMES_PER_MS = 8
KEYS = "123A456B789C*0#D"  # ITU-T Q.23, row by row
ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
