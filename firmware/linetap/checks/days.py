# SPDX-License-Identifier: Apache-2.0
"""What ends on a day is told in steps, so that an alert is not published anew with every day."""

from __future__ import annotations

STEPS_DAYS = (1, 7, 30)  # before the end


def step_of(left_days: float) -> int | None:
    """The step that has begun; None: the end is further away than all of them."""
    return next((days for days in STEPS_DAYS if left_days <= days), None)


def days_en(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
