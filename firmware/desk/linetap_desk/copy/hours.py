# SPDX-License-Identifier: Apache-2.0
"""How fast a unit is asked, by the hour: its line carries reports by day, and has room at night. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from typing import Self
from zoneinfo import ZoneInfo

from linetap_core.clock import from_utc_ns
from linetap_core.errors import BadInput
from linetap_core.zones import zone_of

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Hours:
    """Rates in kbit/s of one unit; None: as fast as it goes; 0: not at all. The night may go over midnight."""

    begin: time
    end: time
    zone: ZoneInfo
    day: int | None
    night: int | None

    @classmethod
    def of(cls, text: str, zone: str, day: int | None, night: int | None) -> Self:
        """BadInput for hours or a zone that are none."""
        found = _HOURS.fullmatch(text)
        if found is None or found.group(1, 2) == found.group(3, 4):
            raise BadInput(f"copy.night {text!r}: 20:00-06:00 would be right")
        try:
            where = zone_of(zone)
        except (ValueError, KeyError, OSError):
            raise BadInput(f"copy.zone {zone!r}: a zone as Asia/Seoul would be right") from None
        begin, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
        return cls(begin, end, where, day, night)

    def kbit_s(self, utc_ns: int) -> int | None:
        now = from_utc_ns(utc_ns).astimezone(self.zone).time()
        if self.begin < self.end:
            return self.night if self.begin <= now < self.end else self.day
        return self.day if self.end <= now < self.begin else self.night
