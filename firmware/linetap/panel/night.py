# SPDX-License-Identifier: Apache-2.0
"""How bright the LEDs are: less by night, when a closet with a window is a lamp."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from linetap.board import FULL_PERCENT
from linetap.clock import from_utc_ns
from linetap.config.schema import Panel


class Night:
    def __init__(self, panel: Panel, zone: str) -> None:
        """`zone`: in which the hours of `panel` are meant."""
        self._from, self._to, self._percent = panel.night_from, panel.night_to, panel.night_percent
        self._zone = ZoneInfo(zone)

    def percent(self, utc_ns: int) -> int:
        """Of full brightness. From the minute of `night_from` on, up to that of `night_to`; equal: no night."""
        now = f"{from_utc_ns(utc_ns).astimezone(self._zone):%H:%M}"
        over_midnight = self._from > self._to
        is_night = (now >= self._from or now < self._to) if over_midnight else self._from <= now < self._to
        return self._percent if is_night else FULL_PERCENT
