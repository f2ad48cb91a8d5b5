# SPDX-License-Identifier: Apache-2.0
"""The part of the table that one statement reads: a page's cursor, bounds in time, months of PostgreSQL. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, bindparam

from linetap_core.errors import BadInput
from linetap_core.evidence.signing import unitnames
from linetap_desk.calls.criteria import Leg
from linetap_desk.ingest import months
from linetap_desk.ingest.tables import calls

Way = Literal["older", "newer"]
_TOKEN = re.compile(
    r"(older|newer)~(\d{1,4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)"
    rf"(?:~({unitnames.NAME})~([^\x00-\x1f]{{1,64}}))?"
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ends: the calls beyond this one in the order (began_at, unit, call_id). A place and not a row
    count, so that new calls shift no page. Without unit and call: beyond all calls that began at `began_at`."""

    way: Way
    began_at: str
    unit: str | None = None
    call_id: str | None = None

    @classmethod
    def beyond(cls, way: Way, row: Mapping[str, Any]) -> Cursor:
        return cls(way, row["began_at"], row["unit"], row["call_id"])

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """BadInput if it is no page token."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise BadInput("page: not a page's token; the search begins anew without one")
        way: Way = "older" if found[1] == "older" else "newer"
        return cls(way, found[2], found[3], found[4])

    def token(self) -> str:
        return "~".join(part for part in (self.way, self.began_at, self.unit, self.call_id) if part is not None)


_NAMES = ("name_low", "name_high")
IN_MONTHS = (
    calls.c.call_id >= bindparam(_NAMES[0], type_=calls.c.call_id.type),
    calls.c.call_id < bindparam(_NAMES[1], type_=calls.c.call_id.type),
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """One bound a side, and always a lower one: without it SQLite sorts the whole table, and of two bounds it uses the
    first for the index and scans the rest. `beyond`: the moment itself is excluded."""

    low: str
    low_beyond: bool
    high: str | None
    high_beyond: bool

    @classmethod
    def of(cls, leg: Leg, cursor: Cursor | None, way: Way, fence: str | None) -> Bounds:
        """A cursor within a moment bounds by the whole moment."""
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
        """The range of call names in the partitions of these months."""
        return dict(zip(_NAMES, months.names_between(self.low, self.high, self.high_beyond), strict=True))


STEPS = (2, 6, 24)  # months, each behind the other; then everything that is left


def month_pieces(leg: Leg, cursor: Cursor | None, way: Way, there: Sequence[int]) -> Iterator[Leg]:
    """The leg in pieces of months: most pages are found in two partitions, and PostgreSQL then plans for no others.
    `there`: the months with a partition, in order; of the newest two one is ahead, or has just begun."""
    if not there:
        yield leg
        return
    first = _first(leg, cursor, way, there)
    for step in STEPS:
        first = first - step if way == "older" else first + step
        if not there[0] < first <= there[-1]:
            break
        edge = months.begins(first)
        if leg.since >= edge if way == "older" else leg.until is not None and leg.until <= edge:
            break
        if way == "older":
            yield replace(leg, since=edge)
            leg = replace(leg, until=edge)
        else:
            yield replace(leg, until=edge)
            leg = replace(leg, since=edge)
    yield leg


def _first(leg: Leg, cursor: Cursor | None, way: Way, there: Sequence[int]) -> int:
    """Older: the month after the first to read. Newer: that month."""
    times = [leg.until if way == "older" else leg.since, None if cursor is None else cursor.began_at]
    known = [number for time in times if (number := months.number_of(time)) is not None]
    if way == "older":
        return min([there[-1], *known]) + 1
    return max([there[0], *known])
