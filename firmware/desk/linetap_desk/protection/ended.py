# SPDX-License-Identifier: Apache-2.0
"""The calls that units ended in a period, and how many of them came of each telephone. Nobody is ranked: telephones are
in the order of department and extension."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_desk.ingest.tables import calls
from linetap_desk.protection.period import Period
from linetap_desk.searching.departments import Departments

MOST = 2000  # of a period

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a telephone is; extension and department by the table of lines, at the time of the call."""

    department: str
    extension: str
    unit: str
    line: int


def ended_calls(db: Connection, period: Period) -> list[Row]:
    """The newest first, MOST and one at most. A destroyed call is not among them: nothing is known of it any more."""
    within = (calls.c.began_at >= rfc3339(period.since_ns), calls.c.began_at < rfc3339(period.until_ns))
    wanted = select(calls).where(calls.c.situation.is_not(None), *within).order_by(calls.c.began_at.desc())
    return [dict(row) for row in db.execute(wanted.limit(MOST + 1)).mappings()]


def seat_of(row: Row, departments: Departments) -> Seat:
    extension, department = departments.at_line(row["unit"], row["line"], parse_rfc3339(row["began_at"]))
    return Seat(department, extension, row["unit"], row["line"] or 0)


def by_seat(rows: Sequence[Row], departments: Departments) -> list[tuple[Seat, Counter[str]]]:
    """How often which situation, of each telephone."""
    found: dict[Seat, Counter[str]] = {}
    for row in rows:
        found.setdefault(seat_of(row, departments), Counter())[row["situation"]] += 1
    return sorted(found.items(), key=lambda each: (each[0].department, each[0].extension, each[0].unit, each[0].line))
