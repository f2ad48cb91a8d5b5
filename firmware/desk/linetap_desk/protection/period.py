# SPDX-License-Identifier: Apache-2.0
"""A month or a year in the desk's zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from linetap_core.errors import BadInput
from linetap_core.zones import start_of_ns

_PERIOD = re.compile(r"(20\d\d)(?:-(0[1-9]|1[0-2]))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A period. `text`: 2026-11 or 2026; `end` is the first day after it."""

    text: str
    first: date
    end: date
    zone: ZoneInfo

    @property
    def since_ns(self) -> int:
        return start_of_ns(self.first, self.zone)

    @property
    def until_ns(self) -> int:
        return start_of_ns(self.end, self.zone)


def parse(text: str, zone: ZoneInfo) -> Period:
    """The period. BadInput for any other text."""
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise BadInput(f"{text[:20]!r}: a month as 2026-11, or a year as 2026, expected")
    year, month = int(found[1]), None if found[2] is None else int(found[2])
    if month is None:
        return Period(text, date(year, 1, 1), date(year + 1, 1, 1), zone)
    return Period(text, date(year, month, 1), date(year + month // 12, month % 12 + 1, 1), zone)
