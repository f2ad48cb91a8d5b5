# SPDX-License-Identifier: Apache-2.0
"""The figures of a period by department: from the calls that the desk still has, and from the counts of cleared ones.

A line belongs to the department that had it when the call began, by the table of lines: the period is divided where a
row of the table begins, and each part is one grouped statement. Figures of cleared calls are by day.

Calls that units ended are also counted for each telephone. There is no ranking: telephones are ordered by department
and extension.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Table, and_, func, not_, select

from linetap_core.clock import NS_PER_DAY, parse_rfc3339, rfc3339
from linetap_core.zones import local_time
from linetap_desk.ingest.measures import CLEARED, LINE, MEASURES, SITUATION, situation_word
from linetap_desk.ingest.tables import CALL_FIGURES, DESTROYED_FIGURES, calls, cleared_days, copies, destroyed_days
from linetap_desk.protection.period import Period
from linetap_desk.searching.departments import Departments

Place = tuple[str, int]  # unit, line
NO_DEPARTMENT, TRUNKS = "", "*trunks"  # in place of a name: lines without a department, and trunk lines without one


@dataclass(slots=True)
class Figures:
    """The figures of a department. `of`: by the names of CALL_FIGURES and DESTROYED_FIGURES. `situations`: ended calls
    by situation."""

    of: Counter[str] = field(default_factory=Counter)
    situations: Counter[str] = field(default_factory=Counter)
    lines: set[Place] = field(default_factory=set)

    def add(self, other: Figures) -> None:
        self.of.update(other.of)
        self.situations.update(other.situations)
        self.lines |= other.lines


@dataclass(slots=True)
class PeriodFigures:
    """The figures of a period. `departments`: by name, with NO_DEPARTMENT and TRUNKS. `unmeasured`: destroyed calls
    cleared before this desk counted them. `overdue`: copies that should have been removed by now."""

    departments: dict[str, Figures] = field(default_factory=dict)
    unmeasured: int = 0
    overdue: int = 0

    def total(self) -> Figures:
        whole = Figures()
        for one in self.departments.values():
            whole.add(one)
        return whole


def read(db: Connection, period: Period, departments: Departments, now_ns: int) -> PeriodFigures:
    found = PeriodFigures()
    cleared = counted = 0
    cuts = [period.since_ns, *departments.cuts(period.since_ns, period.until_ns), period.until_ns]
    for since_ns, until_ns in pairwise(cuts):
        began = and_(calls.c.began_at >= rfc3339(since_ns), calls.c.began_at < rfc3339(until_ns))
        known = select(calls.c.unit, LINE.label("line"), SITUATION.label("situation"), *MEASURES)
        for row in _counted(db, known.where(began, not_(CLEARED)).group_by(calls.c.unit, LINE, SITUATION)):
            _add(found, departments, since_ns, row, CALL_FIGURES)
        cleared += db.execute(select(func.count()).select_from(calls).where(began, CLEARED)).scalar_one()
        days = _day(since_ns, period), _day(until_ns, period)
        for row in _of_days(db, cleared_days, CALL_FIGURES, days, "situation"):
            counted += row["calls"]
            _add(found, departments, since_ns, row, CALL_FIGURES)
        for row in _of_days(db, destroyed_days, DESTROYED_FIGURES, days):
            _add(found, departments, since_ns, row, DESTROYED_FIGURES)
    found.unmeasured = max(0, cleared - counted)
    found.overdue = _overdue(db, now_ns)
    return found


def _day(ns: int, period: Period) -> date:
    return local_time(ns, period.zone).date()


def _of_days(
    db: Connection, table: Table, names: Iterable[str], days: tuple[date, date], *more: str
) -> Iterable[dict[str, Any]]:  # fmt: skip
    keys = [table.c[name] for name in ("unit", "line", *more)]
    sums = [func.sum(table.c[name]).label(name) for name in names]
    within = (table.c.day >= days[0].isoformat(), table.c.day < days[1].isoformat())
    return _counted(db, select(*keys, *sums).where(*within).group_by(*keys))


def _counted(db: Connection, wanted: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(wanted).mappings()]


def _add(found: PeriodFigures, departments: Departments, at_ns: int, row: dict[str, Any], names: Iterable[str]) -> None:
    department = department_of(departments, row["unit"], row["line"], at_ns)
    its = Figures(Counter({name: int(row[name]) for name in names}), lines={(row["unit"], row["line"])})
    if row.get("situation"):
        its.situations[situation_word(row["situation"])] += int(row["ended"])
    found.departments.setdefault(department, Figures()).add(its)


def department_of(departments: Departments, unit: str, line: int | None, at_ns: int) -> str:
    """The department's name, NO_DEPARTMENT, or TRUNKS."""
    _, department = departments.at_line(unit, line, at_ns)
    return department or (TRUNKS if departments.is_trunk(unit, line, at_ns) else NO_DEPARTMENT)


def _overdue(db: Connection, now_ns: int) -> int:
    """Copies past their end for a day. Held ones have a later check, and are not included."""
    ends = rfc3339(now_ns - NS_PER_DAY)
    late = (copies.c.removed_at.is_(None), copies.c.look_at < ends)
    return db.execute(select(func.count()).select_from(copies).where(*late)).scalar_one()


MOST = 2000  # of a period

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StaffTelephone:
    """The seat of a telephone; extension and department by the table of lines, at the time of the call."""

    department: str
    extension: str
    unit: str
    line: int


def ended_calls(db: Connection, period: Period) -> list[Row]:
    """The ended calls, newest first, at most MOST and one. Destroyed calls are not included: their data is cleared."""
    within = (calls.c.began_at >= rfc3339(period.since_ns), calls.c.began_at < rfc3339(period.until_ns))
    wanted = select(calls).where(calls.c.situation.is_not(None), *within).order_by(calls.c.began_at.desc())
    return [dict(row) for row in db.execute(wanted.limit(MOST + 1)).mappings()]


def seat_of(row: Row, departments: Departments) -> StaffTelephone:
    extension, department = departments.at_line(row["unit"], row["line"], parse_rfc3339(row["began_at"]))
    return StaffTelephone(department, extension, row["unit"], row["line"] or 0)


def by_seat(rows: Sequence[Row], departments: Departments) -> list[tuple[StaffTelephone, Counter[str]]]:
    """The number of each situation, for each telephone."""
    found: dict[StaffTelephone, Counter[str]] = {}
    for row in rows:
        found.setdefault(seat_of(row, departments), Counter())[row["situation"]] += 1
    return sorted(found.items(), key=lambda each: (each[0].department, each[0].extension, each[0].unit, each[0].line))
