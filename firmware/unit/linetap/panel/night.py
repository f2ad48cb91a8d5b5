# SPDX-License-Identifier: Apache-2.0
"""How bright the LEDs are: less by night, when a closet with a window is a lamp."""

from __future__ import annotations

from linetap.config.night import percent_at
from linetap.config.schema import Panel
from linetap_core.clock import from_utc_ns
from linetap_core.zones import zone_of


class Night:
    def __init__(self, panel: Panel, zone: str) -> None:
        """`zone`: in which the hours of `panel` are meant."""
        self._panel, self._zone = panel, zone_of(zone)

    def percent(self, utc_ns: int) -> int:
        """Of full brightness."""
        now = from_utc_ns(utc_ns).astimezone(self._zone)
        return percent_at(self._panel, now.hour * 60 + now.minute)
