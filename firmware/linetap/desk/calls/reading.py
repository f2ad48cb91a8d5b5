# SPDX-License-Identifier: Apache-2.0
"""What one page asks the database. Of legs that differ in their values alone the statements are made once: for a
department of sixty lines SQLAlchemy would else take longer than the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, Text, bindparam, func, select, tuple_

from linetap.desk.calls import spans
from linetap.desk.calls.keyset import Cursor, Way
from linetap.desk.calls.wanted import Leg
from linetap.desk.ingest import months
from linetap.desk.ingest.tables import calls

type Statement = Select[Any] | Select[Any, Any]  # the second is what SQLAlchemy 2.1 calls one of two columns
type Asked = tuple[Statement, dict[str, Any]]  # with its values
_MOST = bindparam("most", type_=Integer)
_KEY = (calls.c.began_at, calls.c.unit, calls.c.call_id)
_ROWS_AT_ONCE = 250
_AT = ("at", "at_unit", "at_call")
_NAMES = ("name_low", "name_high")
_IN_MONTHS = (
    calls.c.call_id >= bindparam(_NAMES[0], type_=calls.c.call_id.type),
    calls.c.call_id < bindparam(_NAMES[1], type_=calls.c.call_id.type),
)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """One of each side, and always the lower one: without it SQLite reads and sorts the whole table, and of two it
    gives the index the first it meets and walks over all between. `beyond`: without the moment itself."""

    low: str
    low_beyond: bool
    high: str | None
    high_beyond: bool

    @classmethod
    def of(cls, leg: Leg, cursor: Cursor | None, way: Way, fence: str | None) -> _Bounds:
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


@dataclass(slots=True)
class Reading:
    """`whole`: rows are read whole. Of many legs most are found in vain, so their keys alone are read, from the index,
    and then the rows of the page (`filled`). `has_months`: calls lie in partitions."""

    db: Connection
    way: Way
    whole: bool
    has_months: bool = field(init=False)
    _months: list[int] | None = None
    _made: dict[tuple[object, ...], Statement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.has_months = self.db.dialect.name == "postgresql"

    def spans(self, leg: Leg, cursor: Cursor | None) -> Iterator[Leg]:
        """The leg in the pieces it is read in, one behind the other."""
        if not self.has_months or leg.astray:
            return iter([leg])
        if self._months is None:
            self._months = sorted(months.there(self.db))
        return spans.of(leg, cursor, self.way, self._months)

    def fence(self, leg: Leg, cursor: Cursor | None, most: int) -> tuple[str | None, int]:
        """How far `most` entries reach, and how many there are."""
        began_at, count = self.db.execute(*self.fence_asked(leg, cursor, most)).one()
        return began_at, int(count)

    def rows(self, leg: Leg, cursor: Cursor | None, most: int, fence: str | None) -> list[dict[str, Any]]:
        """Up to `fence`, or to the end of the leg."""
        found = self.db.execute(*self.rows_asked(leg, cursor, most, fence))
        return [dict(row) for row in found.mappings()]

    def filled(self, keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The whole rows, in the order of `keys`; the ingest deletes none."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for some in batched(keys, _ROWS_AT_ONCE, strict=False):
            for row in self.db.execute(self.filled_asked(some)).mappings():
                found[row["unit"], row["call_id"]] = dict(row)
        return [found[key["unit"], key["call_id"]] for key in keys]

    def filled_asked(self, keys: Sequence[Mapping[str, Any]]) -> Statement:
        named = [(key["unit"], key["call_id"]) for key in keys]
        return select(calls).where(tuple_(calls.c.unit, calls.c.call_id).in_(named))

    def fence_asked(self, leg: Leg, cursor: Cursor | None, most: int) -> Asked:
        """Of the index alone: no row is read for it."""
        bounds = _Bounds.of(leg, cursor, self.way, None)
        statement = self._once(("fence", leg.shape, bounds.shape), lambda: self._fence(leg, bounds))
        return statement, {**leg.values, **self._bound(leg, bounds), "most": most}

    def rows_asked(self, leg: Leg, cursor: Cursor | None, most: int, fence: str | None) -> Asked:
        bounds, within = _Bounds.of(leg, cursor, self.way, fence), cursor is not None and cursor.unit is not None
        statement = self._once(("rows", leg.shape, bounds.shape, within), lambda: self._rows(leg, bounds, within))
        values = {**leg.values, **self._bound(leg, bounds), "most": most}
        if cursor is not None and within:
            values |= dict(zip(_AT, (cursor.began_at, cursor.unit, cursor.call_id), strict=True))
        return statement, values

    def _bound(self, leg: Leg, bounds: _Bounds) -> dict[str, Any]:
        return bounds.values() | (bounds.names() if self._by_months(leg) else {})

    def _conditions(self, leg: Leg, bounds: _Bounds) -> list[ColumnElement[bool]]:
        return [*leg.by, *bounds.conditions(), *(_IN_MONTHS if self._by_months(leg) else ())]

    def _by_months(self, leg: Leg) -> bool:
        return self.has_months and not leg.astray

    def _once(self, key: tuple[object, ...], make: Callable[[], Statement]) -> Statement:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _fence(self, leg: Leg, bounds: _Bounds) -> Statement:
        began = calls.c.began_at
        ordered = select(began).where(*self._conditions(leg, bounds)).order_by(self._way_of(began))
        reached = ordered.limit(_MOST).subquery()
        last = func.min if self.way == "older" else func.max
        return select(last(reached.c.began_at), func.count())

    def _rows(self, leg: Leg, bounds: _Bounds, within: bool) -> Statement:
        order = [calls.c.began_at, *self._ties()]
        columns: Sequence[ColumnElement[Any]] = list(calls.c) if self.whole else _KEY
        wanted = select(*columns).where(*self._conditions(leg, bounds), *leg.rest)
        if within:
            own, its = tuple_(*order), tuple_(*(bindparam(name, type_=Text) for name in _AT))
            wanted = wanted.where(own < its if self.way == "older" else own > its)
        return wanted.order_by(*map(self._way_of, order)).limit(_MOST)

    def _way_of(self, column: ColumnElement[str]) -> ColumnElement[str]:
        return column.desc() if self.way == "older" else column.asc()

    def _ties(self) -> list[ColumnElement[str]]:
        """By code point, as Python and SQLite compare: PostgreSQL's order is that of its own language."""
        ties: list[ColumnElement[str]] = [calls.c.unit, calls.c.call_id]
        return [one.collate("C") for one in ties] if self.has_months else ties
