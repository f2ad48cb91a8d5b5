# SPDX-License-Identifier: Apache-2.0
"""The report of a period: a row for each department, and the ministry's indicators one by one. It names no person and
has no ranking; departments are ordered by name.

Small numbers that would identify a person are not shown, nor are those from which they could be computed. A number from
1 to 4 is hidden. Where it could be computed from a shown sum, the next smallest numbers are hidden as well. The sums of
the whole office are always shown. Departments with fewer than three lines are joined into one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, func, select

from linetap_core.records import LineRelease
from linetap_desk.ingest.measures import percent
from linetap_desk.ingest.pbxdays import first_kept
from linetap_desk.ingest.tables import pbx_days, units
from linetap_desk.protection import figures
from linetap_desk.protection.figures import NO_DEPARTMENT, TRUNKS, Figures, PeriodFigures
from linetap_desk.protection.period import Period
from linetap_desk.searching.departments import Departments

LEAST = 5
LEAST_LINES = 3
Cell = tuple[str, str]  # row, column


def hidden(
    cells: Mapping[Cell, int], sums: Sequence[Sequence[Cell]], parts: Sequence[Sequence[Cell]] = ()
) -> frozenset[Cell]:
    """The cells to hide. `sums`: cells whose sum a reader knows. `parts`: a cell, and the cells that add up to it. In
    each sum either no cell is hidden, or so many that their sum reveals no cell."""
    found = {cell for cell, number in cells.items() if 0 < number < LEAST}
    for _ in range(len(cells)):
        left = next(filter(None, (_also_hideable(cells, found, each, None) for each in sums)), None)
        left = left or next(filter(None, (_also_hideable(cells, found, each, each[0]) for each in parts)), None)
        if left is None:
            break
        least = min((cells[cell] for cell in left), key=lambda number: (number == 0, number))
        found.update(cell for cell in left if cells[cell] == least)  # equal cells hide together
    return frozenset(found)


def _also_hideable(cells: Mapping[Cell, int], found: set[Cell], each: Sequence[Cell], whole: Cell | None) -> list[Cell]:
    """The cells of `each` that may be hidden too, if too few are hidden: a single one, or several whose sum is below
    LEAST or can only come from the largest small numbers. A hidden sum reveals nothing."""
    ours = found.intersection(each)
    number = sum(cells[cell] for cell in ours)
    says = whole not in ours and (number < LEAST or number == (LEAST - 1) * len(ours))
    return [cell for cell in each if cell not in ours] if ours and (len(ours) == 1 or says) else []


COUNTED = ("calls", "due", "recorded", "heard")
# In these columns a small number could identify one person.
SENSITIVE = (
    "over_15", "over_20", "warned", "extended", "ended", "cancelled", "refused", "marked", "released",
)  # fmt: skip
KEPT = ("destroyed", "late")
COLUMNS = (*COUNTED, *SENSITIVE, *KEPT)
SHARES = {"recorded": "due", "heard": "judged"}  # column -> the column of its whole
OTHERS = "*"  # departments with few lines
UNNAMED = (OTHERS, TRUNKS, NO_DEPARTMENT)  # rows other than departments, in their order at the end
Released = Mapping[str, int]  # department -> calls that were opened by request in the period


@dataclass(frozen=True, slots=True)
class Pbx:
    """The calls that the PBXs listed in the period; `days`: of units with such a list. `since`: the first day whose
    figures are kept, if the period begins before it."""

    days: int
    calls: int
    missing: int
    since: date | None = None


@dataclass(slots=True)
class Report:
    """The report. `departments`: names in order, those of UNNAMED at the end. `hidden`: cells not shown; a situation's
    column is `end:` and its name. `joined`: number of departments in OTHERS. `released` None: the pages' database could
    not be read."""

    period: Period
    made_at_ns: int
    found: PeriodFigures
    pbx: Pbx
    released: bool
    covered: tuple[int, int] | None  # staff's telephones with a recent call, and all; None: no register
    releases: Mapping[LineRelease, int] | None  # present lines by how their calls are ended; None: unknown here
    departments: list[str] = field(default_factory=list)
    cells: dict[Cell, int] = field(default_factory=dict)
    total: Counter[str] = field(default_factory=Counter)
    situations: list[str] = field(default_factory=list)
    hidden: frozenset[Cell] = frozenset()
    joined: int = 0

    def share(self, department: str, column: str) -> float | None:
        """The share in percent, as `percent` rounds it."""
        return percent(self.cells[department, column], self.cells[department, SHARES[column]])

    def total_share(self, column: str) -> float | None:
        return percent(self.total[column], self.total[SHARES[column]])


def make(
    db: Connection,
    period: Period,
    departments: Departments,
    released: Released | None,
    now_ns: int,
    covered: tuple[int, int] | None = None,
    releases: Mapping[LineRelease, int] | None = None,
) -> Report:  # fmt: skip
    found = figures.read(db, period, departments, now_ns)
    report = Report(period, now_ns, found, _pbx(db, period, now_ns), released is not None, covered, releases)
    for name, number in (released or {}).items():
        found.departments.setdefault(name, Figures()).of["released"] += number
    rows, report.joined = _joined(found.departments, departments, period)
    named = sorted(name for name in rows if name not in UNNAMED)
    report.departments = [*named, *(name for name in UNNAMED if name in rows)]
    report.situations = sorted({name for one in rows.values() for name in one.situations})
    for name, one in rows.items():
        report.cells |= {(name, column): one.of[column] for column in (*COLUMNS, "judged")}
        report.cells |= {(name, end_of(each)): one.situations[each] for each in report.situations}
    whole = found.total()
    report.total = whole.of + Counter({end_of(name): number for name, number in whole.situations.items()})
    report.hidden = _hidden(report)
    return report


def end_of(situation: str) -> str:
    """The column of the calls ended in this situation."""
    return f"end:{situation}"


def _hidden(report: Report) -> frozenset[Cell]:
    ends = [end_of(name) for name in report.situations]
    columns = [*SENSITIVE, *ends]
    shown = {(name, column): report.cells[name, column] for name in report.departments for column in columns}
    sums: list[Sequence[Cell]] = [[(name, column) for name in report.departments] for column in columns]
    parts = [[(name, column) for column in ("ended", *ends)] for name in report.departments] if ends else []
    return hidden(shown, sums, parts)


def _joined(found: Mapping[str, Figures], table: Departments, of: Period) -> tuple[dict[str, Figures], int]:
    """Departments with fewer than three lines as one row, together with the next smallest if needed for three lines."""
    lines = {name: table.lines_at_once(name, of.since_ns, of.until_ns) for name in found if name not in UNNAMED}
    few = [name for name in lines if lines[name] < LEAST_LINES]
    for name in sorted(lines, key=lambda name: (lines[name], name)):
        if few and name not in few and sum(lines[each] for each in few) < LEAST_LINES:
            few.append(name)
    rows = {name: one for name, one in found.items() if name not in few}
    if few:
        rows[OTHERS] = Figures()
        for name in few:
            rows[OTHERS].add(found[name])
    return rows, len(few)


def _pbx(db: Connection, period: Period, now_ns: int) -> Pbx:
    ours = pbx_days.c.unit.in_(select(units.c.unit).where(units.c.named))
    within = (pbx_days.c.day >= period.first.isoformat(), pbx_days.c.day < period.end.isoformat())
    sums = [func.coalesce(func.sum(column), 0) for column in (pbx_days.c.calls, pbx_days.c.missing)]
    days, listed, missing = db.execute(select(func.count(), *sums).where(ours, *within)).one()
    first = first_kept(now_ns)
    return Pbx(int(days), int(listed), int(missing), first if period.first < first else None)
