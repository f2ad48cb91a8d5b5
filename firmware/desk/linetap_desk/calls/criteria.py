# SPDX-License-Identifier: Apache-2.0
"""The criteria of a search, and the index for each. Pure.

A leg is a range of one index, in the order of time: a department has one for each of its lines, any other search has
one. Criteria outside the index are checked row by row (`rest`), within a budget (query.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Integer, Text, and_, bindparam, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from linetap_core.errors import BadInput
from linetap_desk.ingest.tables import IN_PROGRESS, WHOLE_UNIT, calls


class unindexed(FunctionElement[Any]):
    """The column in a form that matches no index of SQLite: without statistics its planner would choose an index that
    finds half the table. PostgreSQL has statistics and gets the plain column."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(unindexed)
def _plain(element: unindexed, compiler: Any, **how: Any) -> str:
    return str(compiler.process(element.clauses, **how))


@compiles(unindexed, "sqlite")
def _unindexed_in_sqlite(element: unindexed, compiler: Any, **how: Any) -> str:
    nothing = "+ 0" if isinstance(element.type, Integer) else "|| ''"
    return f"({compiler.process(element.clauses, **how)} {nothing})"


State = Literal["open", "ended", "sealed", "copied", "held", "destroyed"]
STATES: tuple[State, ...] = get_args(State)
MOST_SEATS = 64

_unit, _line, _disposition = unindexed(calls.c.unit), unindexed(calls.c.line), unindexed(calls.c.disposition)
_began_at = unindexed(calls.c.began_at)
_GONE, _HELD = calls.c.destroyed_at.is_not(None), calls.c.held_at.is_not(None)
_RARE: dict[str, ColumnElement[bool]] = {  # as in the partial indexes of tables.py
    "destroyed": _GONE,
    "held": _HELD,
    "open": IN_PROGRESS,
}


@dataclass(frozen=True, slots=True)
class Seat:
    """A line from `since`, before `until`, in the tables' form of times; `line` None: every line of the unit."""

    unit: str
    line: int | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class SearchCriteria:
    """The criteria. `since` is included, `until` is not. `seats` None: everywhere; empty: nowhere. `mark` "any": any
    mark."""

    since: str | None = None
    until: str | None = None
    unit: str | None = None
    line: int | None = None
    seats: Sequence[Seat] | None = None
    direction: str | None = None
    disposition: str | None = None
    mark: str | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """A range of an index, from `since` ("": the beginning) to `until`. `values` are the parameters of `by` and `rest`:
    legs of one search with the same `shape` differ only in them."""

    by: list[ColumnElement[bool]]
    since: str
    until: str | None
    rest: list[ColumnElement[bool]] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[object, ...]:
        return tuple(self.values)


def legs(criteria: SearchCriteria) -> list[Leg]:
    """The legs of a search. BadInput for more than MOST_SEATS seats."""
    if criteria.seats is None:
        return [_leg(criteria, Seat(criteria.unit or "", criteria.line, criteria.since, criteria.until))]
    if len(criteria.seats) > MOST_SEATS:
        raise BadInput(f"{len(criteria.seats)} places: at most {MOST_SEATS} are searched at once; a unit expected")
    seats = [seat for one in criteria.seats if (seat := _narrowed_seat(one, criteria)) is not None]
    if not _is_rare(criteria) or not seats:
        return [_leg(criteria, seat) for seat in seats]
    return [_everywhere(criteria, seats)]


def state_is(state: State) -> list[ColumnElement[bool]]:
    """The condition for a call's state, as `state_of` derives it from a row."""
    ended, sealed, copied = (calls.c[name].is_not(None) for name in ("ended_at", "sealed_at", "copied_at"))
    match state:
        case "open":
            return [_RARE["open"], calls.c.copied_at.is_(None), calls.c.held_at.is_(None)]
        case "ended":
            return [ended, ~sealed, ~copied, ~_HELD, ~_GONE]
        case "sealed":
            return [sealed, ~copied, ~_HELD, ~_GONE]
        case "copied":
            return [copied, ~_HELD, ~_GONE]
        case "held":
            return [_HELD, ~_GONE]
        case "destroyed":
            return [_GONE]


def _is_rare(criteria: SearchCriteria) -> bool:
    return criteria.mark is not None or criteria.state in _RARE


def _leg(criteria: SearchCriteria, seat: Seat) -> Leg:
    """The leg of the index with the fewest entries. Other columns are `unindexed` for SQLite's planner (a test checks
    the plan)."""
    by: list[ColumnElement[bool]] = []
    rest: list[ColumnElement[bool]] = []
    if criteria.mark is not None:
        by.append(calls.c.mark.is_not(None) if criteria.mark == "any" else calls.c.mark == criteria.mark)
    elif criteria.state in _RARE:
        by.append(_RARE[criteria.state])
    values: dict[str, object] = {}
    unit, line = bindparam("unit", type_=Text), bindparam("line", type_=Integer)
    leads = bool(seat.unit) and not by
    if seat.unit:
        values["unit"] = seat.unit
        (by if leads else rest).append((calls.c.unit if leads else _unit) == unit)
    if seat.line is not None:
        values["line"] = seat.line
        (by if leads else rest).append((calls.c.line if leads else _line) == line)
    elif leads:
        by.append(WHOLE_UNIT)
    if criteria.state is not None and (criteria.state != "destroyed" or criteria.mark is not None):
        rest += state_is(criteria.state)
    if criteria.disposition is not None:
        (rest if by else by).append((_disposition if by else calls.c.disposition) == criteria.disposition)
    if criteria.direction is not None:
        rest.append(calls.c.direction == criteria.direction)
    return Leg(by, seat.since or "", seat.until, rest, values)


def _everywhere(criteria: SearchCriteria, seats: Sequence[Seat]) -> Leg:
    leg = _leg(criteria, Seat("", None, criteria.since, criteria.until))
    return replace(leg, rest=[*leg.rest, or_(*(_seat_condition(seat) for seat in seats))])


def _narrowed_seat(seat: Seat, criteria: SearchCriteria) -> Seat | None:
    """The part of a seat within the other criteria; None if it is empty."""
    if criteria.unit not in (None, seat.unit) or (seat.line is not None and criteria.line not in (None, seat.line)):
        return None
    since = max(seat.since or "", criteria.since or "")
    until = min((time for time in (seat.until, criteria.until) if time is not None), default=None)
    if until is not None and since >= until:
        return None
    return Seat(seat.unit, criteria.line if seat.line is None else seat.line, since, until)


def _seat_condition(seat: Seat) -> ColumnElement[bool]:
    bounds = [_unit == seat.unit, _began_at >= (seat.since or "")]
    if seat.line is not None:
        bounds.append(_line == seat.line)
    if seat.until is not None:
        bounds.append(_began_at < seat.until)
    return and_(*bounds)
