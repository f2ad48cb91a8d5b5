# SPDX-License-Identifier: Apache-2.0
"""The statements of one page. Of legs that differ in their values alone each statement is built once: for a department
of sixty lines SQLAlchemy would otherwise take longer than the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    column,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql.visitors import replacement_traverse

from linetap_desk.calls import bounds
from linetap_desk.calls.bounds import IN_MONTHS, Bounds, Cursor, Way
from linetap_desk.calls.criteria import Leg
from linetap_desk.ingest import months
from linetap_desk.ingest.tables import calls

_OWN: Mapping[str, type[Any]] = {"unit": Text, "line": Integer, "low": Text, "high": Text}  # differs from leg to leg
_NUMBER = "leg"  # from 1


class Legs:
    """The values of all legs as a table, one row a leg: it replaces the parameters of a single leg."""

    def __init__(self, names: Sequence[str]) -> None:
        lists = func.unnest(*(bindparam(f"all_{name}", type_=ARRAY(_OWN[name])) for name in names))
        columns: list[ColumnElement[Any]] = [column(f"its_{name}", _OWN[name]) for name in names]
        self.table = lists.table_valued(*columns, with_ordinality=_NUMBER, name="legs").render_derived()
        self._names = names

    def of_each(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        found: ColumnElement[bool] = replacement_traverse(condition, {}, self._put)
        return found

    def _put(self, element: Any, **_: Any) -> Any:
        is_own = isinstance(element, BindParameter) and element.key in self._names
        return self.table.c[f"its_{element.key}"] if is_own else None


def batch(make: Callable[[Legs], Any], each: Sequence[Mapping[str, Any]]) -> tuple[Select[Any], dict[str, Any]]:
    """One statement for all legs, with its values; `each`: the values of every leg. PostgreSQL needs longer to receive
    and plan a statement than to read one leg.

    The first column is the leg's number, from 1. A statement names its partitions, so that every leg is searched in
    those of all.
    """
    own = [name for name in _OWN if name in each[0]]
    legs = Legs(own)
    found = make(legs).lateral("found")
    asked = select(legs.table.c[_NUMBER], *found.c).select_from(legs.table.join(found, true()))
    values = {name: value for name, value in each[0].items() if name not in own}
    values |= {"name_low": min(one["name_low"] for one in each), "name_high": max(one["name_high"] for one in each)}
    return asked, values | {f"all_{name}": [one[name] for one in each] for name in own}


type Statement = Select[Any] | Select[Any, Any]  # the second is what SQLAlchemy 2.1 calls one of two columns
type Asked = tuple[Statement, dict[str, Any]]  # with its values
type _Key = tuple[object, ...]
MANY = 4  # legs
_MOST = bindparam("most", type_=Integer)
_KEY = (calls.c.began_at, calls.c.unit, calls.c.call_id)
_ROWS_AT_ONCE = 250
_AT = ("at", "at_unit", "at_call")


def _look(kind: str, leg: Leg, *asked: object) -> _Key:
    """The cache key of a statement's result."""
    return kind, leg.since, leg.until, *leg.values.items(), leg.astray, *asked


def _where(wanted: Select[Any], conditions: Sequence[ColumnElement[bool]], legs: Legs | None) -> Select[Any]:
    if legs is None:
        return wanted.where(*conditions)
    return wanted.where(*map(legs.of_each, conditions)).correlate(legs.table)


@dataclass(slots=True)
class Reading:
    """`whole`: reads whole rows. For many legs, most rows are not needed: only their keys are read, from the index, and
    then the rows of the page (`filled`). `has_months`: calls lie in partitions."""

    db: Connection
    way: Way
    whole: bool
    _months: list[int] | None = None
    _made: dict[_Key, Statement] = field(default_factory=dict)
    _makes: dict[int, Callable[[Legs | None], Statement]] = field(default_factory=dict)
    _known: dict[_Key, list[Sequence[Any]]] = field(default_factory=dict)

    @property
    def has_months(self) -> bool:
        return self.db.dialect.name == "postgresql"

    def spans(self, leg: Leg, cursor: Cursor | None) -> Iterator[Leg]:
        """The leg in consecutive pieces, as it is read."""
        if not self.has_months or leg.astray:
            return iter([leg])
        if self._months is None:
            self._months = sorted(months.there(self.db))
        return bounds.month_pieces(leg, cursor, self.way, self._months)

    def look_ahead(self, parts: Sequence[Leg], cursor: Cursor | None, most: int, chunk: int) -> None:
        """For many legs, runs the first statements of all together and caches their results."""
        first = [next(self.spans(leg, cursor)) for leg in parts]
        if len(first) < MANY:
            return
        rest = [leg for leg in first if leg.rest]
        self._ask_together({_look("fence", leg, cursor, chunk): self.fence_asked(leg, cursor, chunk) for leg in rest})
        looks = {}
        for leg in first:
            fence, count = self.fence(leg, cursor, chunk) if leg.rest else (None, chunk)
            end = fence if leg.rest and count == chunk else None
            if count:
                looks[_look("rows", leg, cursor, most, end)] = self.rows_asked(leg, cursor, most, end)
        self._ask_together(looks)

    def fence(self, leg: Leg, cursor: Cursor | None, most: int) -> tuple[str | None, int]:
        """How far `most` entries reach, and how many there are."""
        known = self._known.get(_look("fence", leg, cursor, most))
        ((began_at, count),) = known or self.db.execute(*self.fence_asked(leg, cursor, most)).all()
        return began_at, int(count)

    def rows(self, leg: Leg, cursor: Cursor | None, most: int, fence: str | None) -> list[dict[str, Any]]:
        """The rows up to `fence`, or to the end of the leg."""
        known = self._known.get(_look("rows", leg, cursor, most, fence))
        found = self.db.execute(*self.rows_asked(leg, cursor, most, fence)).all() if known is None else known
        columns = [column.name for column in self._columns]
        return [dict(zip(columns, row, strict=True)) for row in found]

    def _ask_together(self, asked: Mapping[_Key, Asked]) -> None:
        alike: dict[int, list[_Key]] = defaultdict(list)
        for key, (statement, _) in asked.items():
            alike[id(statement)].append(key)  # one for each shape
        for made, keys in alike.items():
            self._known |= {key: [] for key in keys}
            each = [asked[key][1] for key in keys]
            for number, *row in self.db.execute(*batch(self._makes[made], each)):
                self._known[keys[number - 1]].append(row)

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
        """From the index alone, without reading rows."""
        bounds = Bounds.of(leg, cursor, self.way, None)
        statement = self._once(("fence", leg.shape, bounds.shape), lambda legs: self._fence(leg, bounds, legs))
        return statement, {**leg.values, **self._bound(leg, bounds), "most": most}

    def rows_asked(self, leg: Leg, cursor: Cursor | None, most: int, fence: str | None) -> Asked:
        bounds, within = Bounds.of(leg, cursor, self.way, fence), cursor is not None and cursor.unit is not None
        statement = self._once(
            ("rows", leg.shape, bounds.shape, within), lambda legs: self._rows(leg, bounds, within, legs)
        )
        values = {**leg.values, **self._bound(leg, bounds), "most": most}
        if cursor is not None and within:
            values |= dict(zip(_AT, (cursor.began_at, cursor.unit, cursor.call_id), strict=True))
        return statement, values

    def _bound(self, leg: Leg, bounds: Bounds) -> dict[str, Any]:
        return bounds.values() | (bounds.names() if self._by_months(leg) else {})

    def _conditions(self, leg: Leg, bounds: Bounds) -> list[ColumnElement[bool]]:
        return [*leg.by, *bounds.conditions(), *(IN_MONTHS if self._by_months(leg) else ())]

    def _by_months(self, leg: Leg) -> bool:
        return self.has_months and not leg.astray

    def _once(self, key: _Key, make: Callable[[Legs | None], Statement]) -> Statement:
        if key not in self._made:
            self._made[key] = made = make(None)
            self._makes[id(made)] = make
        return self._made[key]

    def _fence(self, leg: Leg, bounds: Bounds, legs: Legs | None) -> Statement:
        began = calls.c.began_at
        wanted = select(began).order_by(self._way_of(began)).limit(_MOST)
        reached = _where(wanted, self._conditions(leg, bounds), legs)
        found = reached.subquery() if legs is None else reached.lateral()
        last = func.min if self.way == "older" else func.max
        return select(last(found.c.began_at).label("began_at"), func.count().label("count"))

    def _rows(self, leg: Leg, bounds: Bounds, within: bool, legs: Legs | None) -> Statement:
        order = [calls.c.began_at, *self._ties()]
        conditions = [*self._conditions(leg, bounds), *leg.rest]
        if within:
            own, its = tuple_(*order), tuple_(*(bindparam(name, type_=Text) for name in _AT))
            conditions.append(own < its if self.way == "older" else own > its)
        wanted = select(*self._columns).order_by(*map(self._way_of, order)).limit(_MOST)
        return _where(wanted, conditions, legs)

    @property
    def _columns(self) -> Sequence[Column[Any]]:
        return list(calls.c) if self.whole else _KEY

    def _way_of(self, column: ColumnElement[str]) -> ColumnElement[str]:
        return column.desc() if self.way == "older" else column.asc()

    def _ties(self) -> list[ColumnElement[str]]:
        """By code point, as Python and SQLite compare: PostgreSQL's order is that of its own language."""
        ties: list[ColumnElement[str]] = [calls.c.unit, calls.c.call_id]
        return [one.collate("C") for one in ties] if self.has_months else ties
