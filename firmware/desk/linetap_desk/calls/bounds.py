# SPDX-License-Identifier: Apache-2.0
"""From when to when one statement looks, and in which months of PostgreSQL that is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam

from linetap_desk.calls.criteria import Leg
from linetap_desk.calls.keyset import Cursor, Way
from linetap_desk.ingest import months
from linetap_desk.ingest.tables import calls

_NAMES = ("name_low", "name_high")
IN_MONTHS = (
    calls.c.call_id >= bindparam(_NAMES[0], type_=calls.c.call_id.type),
    calls.c.call_id < bindparam(_NAMES[1], type_=calls.c.call_id.type),
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """One of each side, and always the lower one: without it SQLite reads and sorts the whole table, and of two it
    gives the index the first it meets and walks over all between. `beyond`: without the moment itself."""

    low: str
    low_beyond: bool
    high: str | None
    high_beyond: bool

    @classmethod
    def of(cls, leg: Leg, cursor: Cursor | None, way: Way, fence: str | None) -> Bounds:
        """Of a cursor within a moment that whole moment."""
        low, high = [(leg.since, False)], [] if leg.until is None else [(leg.until, True)]
        if cursor is not None:
            (high if way == "older" else low).append((cursor.began_at, cursor.unit is None))
        if fence is not None:
            (low if way == "older" else high).append((fence, False))
        nearest = min(high, key=lambda one: (one[0], not one[1]), default=(None, False))
        return cls(*max(low), *nearest)

    @property
    def shape(self) -> tuple[bool, bool, bool]:
        return self.low_beyond, self.high is None, self.high_beyond

    def conditions(self) -> list[ColumnElement[bool]]:
        began, low, high = calls.c.began_at, bindparam("low", type_=Text), bindparam("high", type_=Text)
        found = [began > low if self.low_beyond else began >= low]
        if self.high is not None:
            found.append(began < high if self.high_beyond else began <= high)
        return found

    def values(self) -> dict[str, Any]:
        return {"low": self.low} | ({} if self.high is None else {"high": self.high})

    def names(self) -> dict[str, str]:
        """Of the calls in the partitions of these months."""
        return dict(zip(_NAMES, months.names_between(self.low, self.high, self.high_beyond), strict=True))
