# SPDX-License-Identifier: Apache-2.0
"""The statements of one page, and the range of the table that each reads.

For legs that differ only in their values a statement is built once: for a department of sixty lines SQLAlchemy would
otherwise take longer than the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Connection, Integer, Select, Text, bindparam, func, select, tuple_

from linetap_core.errors import BadInput
from linetap_core.evidence.signing import unitnames
from linetap_desk.calls.criteria import Leg
from linetap_desk.ingest.tables import calls

Way = Literal["older", "newer"]
_TOKEN = re.compile(
    r"(older|newer)~(\d{1,4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)"
    rf"(?:~({unitnames.NAME})~([^\x00-\x1f]{{1,64}}))?"
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page: the calls beyond this one in the order (began_at, unit, call_id). A position, not a row count,
    so that new calls shift no page. Without unit and call: beyond all calls that began at `began_at`."""

    way: Way
    began_at: str
    unit: str | None = None
    call_id: str | None = None

    @classmethod
    def beyond(cls, way: Way, row: Mapping[str, Any]) -> Cursor:
        return cls(way, row["began_at"], row["unit"], row["call_id"])

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """The cursor. BadInput for an invalid page token."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise BadInput("page: not a page's token; without one the search begins at the start")
        way: Way = "older" if found[1] == "older" else "newer"
        return cls(way, found[2], found[3], found[4])

    def token(self) -> str:
        return "~".join(part for part in (self.way, self.began_at, self.unit, self.call_id) if part is not None)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range of times. One bound for each side, and always a lower one: without it SQLite sorts the whole table, and
    of two bounds it uses the first for the index and scans the rest. `beyond`: the time itself is excluded."""

    low: str
    low_beyond: bool
    high: str | None
    high_beyond: bool

    @classmethod
    def of(cls, leg: Leg, cursor: Cursor | None, way: Way, fence: str | None) -> Bounds:
        """The bounds. A cursor at a time with several calls includes that whole time."""
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


type Statement = Select[Any] | Select[Any, Any]  # the second: SQLAlchemy 2.1's type for two columns
type BoundStatement = tuple[Statement, dict[str, Any]]  # with its values
_MOST = bindparam("most", type_=Integer)
_KEY = (calls.c.began_at, calls.c.unit, calls.c.call_id)
_ROWS_AT_ONCE = 250
_AT = ("at", "at_unit", "at_call")


@dataclass(slots=True)
class Reading:
    """The statements of a search. `whole`: reads whole rows. With many legs most rows are not needed: then only keys
    are read, from the index, and later the rows of the page (`filled`)."""

    db: Connection
    way: Way
    whole: bool
    _made: dict[tuple[object, ...], Statement] = field(default_factory=dict)

    def fence(self, leg: Leg, cursor: Cursor | None, most: int) -> tuple[str | None, int]:
        """The time of the last of the first `most` entries, and their number."""
        ((began_at, count),) = self.db.execute(*self.fence_query(leg, cursor, most)).all()
        return began_at, int(count)

    def rows(self, leg: Leg, cursor: Cursor | None, most: int, fence: str | None) -> list[dict[str, Any]]:
        """The rows up to `fence`, or to the end of the leg."""
        columns = [column.name for column in self._columns]
        found = self.db.execute(*self.rows_query(leg, cursor, most, fence))
        return [dict(zip(columns, row, strict=True)) for row in found]

    def filled(self, keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The whole rows, in the order of `keys`; the ingest never deletes rows."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for some in batched(keys, _ROWS_AT_ONCE, strict=False):
            for row in self.db.execute(self.filled_query(some)).mappings():
                found[row["unit"], row["call_id"]] = dict(row)
        return [found[key["unit"], key["call_id"]] for key in keys]

    def filled_query(self, keys: Sequence[Mapping[str, Any]]) -> Statement:
        named = [(key["unit"], key["call_id"]) for key in keys]
        return select(calls).where(tuple_(calls.c.unit, calls.c.call_id).in_(named))

    def fence_query(self, leg: Leg, cursor: Cursor | None, most: int) -> BoundStatement:
        """The statement for `fence`, on the index only."""
        bounds = Bounds.of(leg, cursor, self.way, None)
        statement = self._cached_statement(("fence", leg.shape, bounds.shape), lambda: self._fence(leg, bounds))
        return statement, {**leg.values, **bounds.values(), "most": most}

    def rows_query(self, leg: Leg, cursor: Cursor | None, most: int, fence: str | None) -> BoundStatement:
        bounds, within = Bounds.of(leg, cursor, self.way, fence), cursor is not None and cursor.unit is not None
        statement = self._cached_statement(
            ("rows", leg.shape, bounds.shape, within), lambda: self._rows(leg, bounds, within)
        )
        values = {**leg.values, **bounds.values(), "most": most}
        if cursor is not None and within:
            values |= dict(zip(_AT, (cursor.began_at, cursor.unit, cursor.call_id), strict=True))
        return statement, values

    def _cached_statement(self, key: tuple[object, ...], make: Callable[[], Statement]) -> Statement:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _fence(self, leg: Leg, bounds: Bounds) -> Statement:
        began = calls.c.began_at
        found = select(began).order_by(self._way_of(began)).limit(_MOST).where(*leg.by, *bounds.conditions()).subquery()
        last = func.min if self.way == "older" else func.max
        return select(last(found.c.began_at).label("began_at"), func.count().label("count"))

    def _rows(self, leg: Leg, bounds: Bounds, within: bool) -> Statement:
        order = [calls.c.began_at, *self._tie_columns()]
        conditions = [*leg.by, *bounds.conditions(), *leg.rest]
        if within:
            own, its = tuple_(*order), tuple_(*(bindparam(name, type_=Text) for name in _AT))
            conditions.append(own < its if self.way == "older" else own > its)
        return select(*self._columns).where(*conditions).order_by(*map(self._way_of, order)).limit(_MOST)

    @property
    def _columns(self) -> Sequence[Column[Any]]:
        return list(calls.c) if self.whole else _KEY

    def _way_of(self, column: ColumnElement[str]) -> ColumnElement[str]:
        return column.desc() if self.way == "older" else column.asc()

    def _tie_columns(self) -> list[ColumnElement[str]]:
        """The columns that order calls of the same time, by code point, as Python and SQLite compare; PostgreSQL's
        default order depends on its locale."""
        ties: list[ColumnElement[str]] = [calls.c.unit, calls.c.call_id]
        return [one.collate("C") for one in ties] if self.db.dialect.name == "postgresql" else ties
