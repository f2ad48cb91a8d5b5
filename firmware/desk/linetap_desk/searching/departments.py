# SPDX-License-Identifier: Apache-2.0
"""The table of lines and departments over time: `unit,line,extension,department,from`, a CSV from a spreadsheet.

For a call, the row with the newest `from` before it counts. A row without a line belongs to an extension: on trunk
lines the PBX reports the extension that spoke.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import msgspec

from linetap_core.errors import BadInput
from linetap_core.evidence.calls.index import Entry
from linetap_desk.inputs import spreadsheet
from linetap_desk.inputs.strict import moment_ns

COLUMNS = ["unit", "line", "extension", "department", "from"]
_MOST_LINE = 128
_TEXT_LIMIT = 120


class Row(msgspec.Struct, frozen=True):
    """A row of the table. `line` None: of the extension, on any line."""

    from_ns: int
    unit: str
    line: int | None
    extension: str
    department: str


@dataclass(frozen=True, slots=True)
class SeatPeriod:
    """The seat at a line, or at an extension behind a PBX, with its period (UTC ns; None: until now)."""

    row: Row
    until_ns: int | None


class Departments:
    def __init__(self, rows: list[Row]) -> None:
        """`rows` in any order."""
        self._of_line: dict[tuple[str, int], list[Row]] = {}
        self._of_extension: dict[tuple[str, str], list[Row]] = {}
        self._trunks: frozenset[str] = frozenset()
        for row in sorted(rows, key=lambda row: row.from_ns):
            if row.line is None:
                self._of_extension.setdefault((row.unit, row.extension), []).append(row)
            else:
                self._of_line.setdefault((row.unit, row.line), []).append(row)

    @classmethod
    def load(cls, path: Path, zone: ZoneInfo) -> Self:
        """The table. A `from` without a zone is local in `zone`. BadInput names file and line."""
        table = spreadsheet.read(path, lambda cells: cells == COLUMNS)
        if table.header != COLUMNS:
            raise BadInput(f"{path}:{table.line}: {','.join(COLUMNS)} expected as the header")
        rows: dict[tuple[str, int | None, str, int], Row] = {}
        for line, cells in table.rows:
            if not any(cells):
                continue
            try:
                row = _row(cells, zone)
                named = (row.unit, row.line, row.extension if row.line is None else "", row.from_ns)
                if rows.setdefault(named, row) is not row:
                    raise BadInput("an earlier row has the same place from the same time on")
            except BadInput as error:
                raise BadInput(f"{path}:{line}: {error}") from None
        return cls(list(rows.values()))

    def filled(self, departments: Mapping[str, str], trunks: Collection[str]) -> Self:
        """The table with gaps filled from the register: a row without a department gets that of its extension, or of
        its trunk's name. `trunks`: these names are no extensions."""
        rows = [row for kept in (self._of_line, self._of_extension) for rows in kept.values() for row in rows]
        found = type(self)([
            row if row.department else msgspec.structs.replace(row, department=departments.get(row.extension, ""))
            for row in rows
        ])  # fmt: skip
        found._trunks = frozenset(trunks)
        return found

    def at(self, entry: Entry, at_ns: int) -> tuple[str, str]:
        """Extension and department; empty if unknown. The extension that the unit reported takes precedence."""
        row = _newest(self._of_line.get((entry.unit, entry.line), []), at_ns)
        extension = entry.extension or (row.extension if row else "")
        row = row or _newest(self._of_extension.get((entry.unit, extension), []), at_ns)
        return extension, row.department if row else ""

    def at_line(self, unit: str, line: int | None, at_ns: int) -> tuple[str, str]:
        """Extension and department if only the line is known."""
        row = _newest(self._of_line.get((unit, line or 0), []), at_ns)
        return (row.extension, row.department) if row else ("", "")

    def is_trunk(self, unit: str, line: int | None, at_ns: int) -> bool:
        """Whether the table names the line at that time, without an extension."""
        row = _newest(self._of_line.get((unit, line or 0), []), at_ns)
        return row is not None and self._is_trunk(row)

    def _is_trunk(self, row: Row) -> bool:
        return not row.extension or row.extension in self._trunks

    def cuts(self, since_ns: int, until_ns: int) -> list[int]:
        """The times within the period, its begin excluded, at which a row of a line begins."""
        begins = {row.from_ns for rows in self._of_line.values() for row in rows}
        return sorted(ns for ns in begins if since_ns < ns < until_ns)

    def places(self, at_ns: int) -> dict[str, tuple[str, int]]:
        """Extension -> unit and line at that time; line 0: behind a PBX, on any line of the unit."""
        found: dict[str, tuple[int, tuple[str, int]]] = {}
        for (unit, extension), rows in self._of_extension.items():
            if (row := _newest(rows, at_ns)) is not None:
                found[extension] = max(found.get(extension, (0, (unit, 0))), (row.from_ns, (unit, 0)))
        for place, rows in self._of_line.items():
            if (row := _newest(rows, at_ns)) is not None and row.extension:
                found[row.extension] = max(found.get(row.extension, (0, place)), (row.from_ns, place))
        return {extension: place for extension, (_, place) in found.items()}

    def since_ns(self, unit: str, line: int, at_ns: int) -> int:
        """Since when the line has its telephone of that time; 0 if the table names none."""
        row = _newest(self._of_line.get((unit, line), []), at_ns)
        return 0 if row is None else row.from_ns

    def lines_at_once(self, department: str, since_ns: int, until_ns: int) -> int:
        """The most lines that the department had at one time of the period: a telephone that moved is one line."""
        seats = [one for one in self.periods_of(department=department) if one.row.from_ns < until_ns]
        begins = {since_ns, *(one.row.from_ns for one in seats if one.row.from_ns > since_ns)}
        had = (
            sum(one.row.from_ns <= at_ns and (one.until_ns is None or at_ns < one.until_ns) for one in seats)
            for at_ns in begins
        )
        return max(had, default=0)

    def trunks(self, at_ns: int) -> set[tuple[str, int]]:
        """Lines that the table names without an extension."""
        newest = {place: _newest(rows, at_ns) for place, rows in self._of_line.items()}
        return {place for place, row in newest.items() if row is not None and self._is_trunk(row)}

    def periods_of(self, extension: str = "", department: str = "") -> list[SeatPeriod]:
        """The lines of an extension or department, with periods; a row ends where the line's next row begins."""
        return [
            seat
            for rows in self._of_line.values()
            for seat in _seats(rows)
            if extension in ("", seat.row.extension) and department in ("", seat.row.department)
        ]

    def behind_pbx(self, department: str) -> list[SeatPeriod]:
        """The extensions of a department behind a PBX, with periods as for lines."""
        rows = (seat for rows in self._of_extension.values() for seat in _seats(rows))
        return [seat for seat in rows if seat.row.department == department]

    def have_trunks(self, extension: str = "", department: str = "") -> bool:
        """Whether some of these extensions are behind a PBX, without a line of their own."""
        return any(
            extension in ("", row.extension) and department in ("", row.department)
            for rows in self._of_extension.values()
            for row in rows
        )

    def names(self) -> list[str]:
        """The departments, sorted."""
        rows = (row for rows in (*self._of_line.values(), *self._of_extension.values()) for row in rows)
        return sorted({row.department for row in rows if row.department})


def _seats(rows: list[Row]) -> list[SeatPeriod]:
    """The seats of one place. `rows` by time."""
    return [SeatPeriod(row, end) for row, end in zip(rows, [*(row.from_ns for row in rows[1:]), None], strict=True)]


def _newest(rows: list[Row], at_ns: int) -> Row | None:
    """The newest row that begins by `at_ns`. `rows` by time."""
    place = bisect.bisect_right(rows, at_ns, key=lambda row: row.from_ns)
    return rows[place - 1] if place else None


def _row(cells: list[str], zone: ZoneInfo) -> Row:
    if len(cells) != len(COLUMNS):
        raise BadInput(f"{len(cells)} fields; {len(COLUMNS)} expected: {','.join(COLUMNS)}")
    unit, line, extension, department, since = (cell.strip() for cell in cells)
    if line and not (line.isascii() and line.isdigit() and len(line) <= 4 and 1 <= int(line) <= _MOST_LINE):
        raise BadInput(f"line {line!r}: 1 to {_MOST_LINE}, or nothing and an extension expected")
    if not unit or not (line or extension):
        raise BadInput("a unit, and a line or an extension expected")
    if len(department) > _TEXT_LIMIT or len(extension) > _TEXT_LIMIT:
        raise BadInput(f"a department of at most {_TEXT_LIMIT} characters expected")
    return Row(moment_ns(since, zone), unit, int(line) if line else None, extension, department)
