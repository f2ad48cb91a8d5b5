# SPDX-License-Identifier: Apache-2.0
"""Compares each extension of the register with the table of lines, the seen calls, and the units' lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import Connection, func, select

from linetap_core.clock import NS_PER_DAY, from_utc_ns, rfc3339
from linetap_desk.coverage.register import Extension, Register
from linetap_desk.ingest.tables import calls, pbx_days, units
from linetap_desk.searching.departments import Departments

SEEN_DAYS = 30
# tapped: a line with calls; silent: a line without one for SEEN_DAYS; trunk: recorded where its calls leave the PBX;
# no_line: the unit named in the table has no such line; untapped: a tap is possible and missing; odd: the table names a
# line for a kind of telephone that cannot be tapped.
State = Literal[
    "tapped", "silent", "trunk", "no_line", "untapped", "odd", "ip_phone", "digital_set", "mobile", "fax", "trunk_line",
    "unused",
]  # fmt: skip
STATES: tuple[State, ...] = get_args(State)
UNREACHABLE = ("ip_phone", "digital_set", "mobile")
NO_STAFF = ("fax", "trunk_line", "unused")
WRONG: tuple[State, ...] = ("untapped", "silent", "no_line", "odd")
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class TelephoneCoverage:
    """An extension's coverage. `place`: its unit and line by the table of lines; line 0: behind trunk lines. `last`:
    its line's newest call since it has the line."""

    extension: Extension
    state: State
    place: Place | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class PbxFound:
    """The calls that a unit's PBX listed in SEEN_DAYS, and how many of them the unit recorded."""

    unit: str
    days: int
    calls: int
    recorded: int
    missing: int
    unseen: int


@dataclass(slots=True)
class Coverage:
    """The result. `strays`: extensions in the table of lines but not in the register. `nobodys`: lines with calls that
    the table assigns to nobody."""

    extensions: list[TelephoneCoverage] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    nobodys: list[Place] = field(default_factory=list)
    pbx: list[PbxFound] = field(default_factory=list)

    @property
    def counts(self) -> Counter[State]:
        return Counter(one.state for one in self.extensions)

    @property
    def staff(self) -> int:
        """The number of telephones that people speak on."""
        return sum(number for state, number in self.counts.items() if state not in NO_STAFF)

    @property
    def wrong(self) -> int:
        return sum(self.counts[state] for state in WRONG)

    @property
    def tapped(self) -> int:
        return self.counts["tapped"]


def compare(
    db: Connection, register: Register, table: Departments, now_ns: int, live: Collection[Place] | None = None
) -> Coverage:
    """The coverage. `live`: the lines that units report at present; None: unknown."""
    seen = _seen(db, now_ns)
    known = seen.keys() | set(live or ())
    named = {unit for unit, _ in known} | set(db.execute(select(units.c.unit)).scalars())
    places = table.places(now_ns)
    found = Coverage(pbx=_pbx(db, now_ns))
    for one in register.extensions:
        place = places.get(one.number)
        last = None if place is None else seen.get(place)
        if place is not None and last is not None and last < rfc3339(table.since_ns(*place, now_ns)):
            last = None  # of the telephone that had the line before
        state = _state(one, place, last, live, named)
        found.extensions.append(TelephoneCoverage(one, state, place, last))
    found.strays = sorted(places.keys() - {one.number for one in register.extensions} - {""})
    found.nobodys = sorted(known - set(places.values()) - table.trunks(now_ns))
    return found


def _state(
    one: Extension, place: Place | None, last: str | None, live: Collection[Place] | None, named: set[str]
) -> State:
    if place is None:
        return "untapped" if one.kind == "analog" else one.kind
    if one.kind in UNREACHABLE and place[1]:
        return "odd"
    if one.kind in NO_STAFF:
        return one.kind  # type: ignore[return-value]  # of NO_STAFF
    if not place[1]:
        return "trunk"
    if last is not None:
        return "tapped"
    there = place in live if live is not None else place[0] in named
    return "silent" if there else "no_line"


def _seen(db: Connection, now_ns: int) -> dict[Place, str]:
    """Each line with a recent call, and the time of its newest. A call of the future has it from a wrong clock, and
    would be recent for years."""
    since, until = rfc3339(now_ns - SEEN_DAYS * NS_PER_DAY), rfc3339(now_ns + NS_PER_DAY)
    lines = select(calls.c.unit, calls.c.line, func.max(calls.c.began_at).label("last"))
    recent = (calls.c.began_at >= since, calls.c.began_at < until, calls.c.line.is_not(None))
    wanted = lines.where(*recent).group_by(calls.c.unit, calls.c.line)
    return {(row.unit, row.line): row.last for row in db.execute(wanted)}


def _pbx(db: Connection, now_ns: int) -> list[PbxFound]:
    first = from_utc_ns(now_ns - SEEN_DAYS * NS_PER_DAY).date().isoformat()
    sums: list[Any] = [func.sum(pbx_days.c[name]) for name in ("calls", "recorded", "missing", "unseen")]
    wanted = select(pbx_days.c.unit, func.count(), *sums).where(pbx_days.c.day >= first).group_by(pbx_days.c.unit)
    return [PbxFound(*row) for row in db.execute(wanted.order_by(pbx_days.c.unit)).all()]
