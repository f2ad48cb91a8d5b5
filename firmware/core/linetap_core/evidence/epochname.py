# SPDX-License-Identifier: Apache-2.0
"""Names of epochs: a day of expiry, `2026-12-01`, or one that has none, `overflow-2` (docs/epochs.md)."""

from __future__ import annotations

from typing import Final

DAY: Final = r"[12]\d{3}-\d\d-\d\d"  # patterns, for others to be made of
OVERFLOW: Final = "overflow-"
OVERFLOW_NAME: Final = rf"{OVERFLOW}\d{{1,6}}"


def overflow_name(number: int) -> str:
    return f"{OVERFLOW}{number}"


def is_overflow(epoch: str) -> bool:
    return epoch.startswith(OVERFLOW)
