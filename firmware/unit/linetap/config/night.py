# SPDX-License-Identifier: Apache-2.0
"""How bright the LEDs are at a minute of the day: the panel shows them so, and a change is judged by it."""

from __future__ import annotations

from linetap.config.schema import Panel

FULL_PERCENT = 100  # of brightness


def percent_at(panel: Panel, minute: int) -> int:
    """Of full brightness; `minute`: since midnight. The night is from `night_from` on, up to that of `night_to`; equal:
    there is none."""
    begins, ends = _minute(panel.night_from), _minute(panel.night_to)
    over_midnight = begins > ends
    is_night = (minute >= begins or minute < ends) if over_midnight else begins <= minute < ends
    return panel.night_percent if is_night else FULL_PERCENT


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
