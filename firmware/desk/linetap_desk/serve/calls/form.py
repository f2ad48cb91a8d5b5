# SPDX-License-Identifier: Apache-2.0
"""The search form: the typed text, the resulting search, and its errors. Pure.

Times are local in the desk's zone. No field is for a telephone number: the desk's database has none, and the page names
the command that searches for numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args
from unicodedata import normalize
from zoneinfo import ZoneInfo

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import unitnames
from linetap_core.records import Direction, Disposition
from linetap_desk.calls.criteria import MOST_SEATS, STATES, SearchCriteria, Seat, State
from linetap_desk.calls.reading import Cursor
from linetap_desk.config.pages import Settings
from linetap_desk.coverage.register import Register
from linetap_desk.inputs.reloadedfile import ReloadedFile
from linetap_desk.inputs.strict import last_ns, moment_ns
from linetap_desk.searching.departments import Departments
from linetap_desk.serve.database.accesslog import has_number
from linetap_desk.watch.places import Place, Places
from linetap_desk.web.text import N_

log = logging.getLogger("linetap.serve")


class Directory:
    def __init__(self, settings: Settings) -> None:
        """BadInput for an unusable file."""
        zone: ZoneInfo = settings.zone
        lines, places = settings.desk.serve.lines, settings.desk.watch.places
        self._lines = _table(lines, lambda path: Departments.load(path, zone), Departments([]))
        self._places = _table(places, Places.read, Places())
        self._register = _table(settings.desk.serve.extensions, Register.load, Register())
        self._filled: tuple[Departments, Register, Departments] | None = None

    @property
    def lines(self) -> Departments:
        """The table of lines, with the departments that the register of extensions adds."""
        table, register = self._lines(), self._register()
        if self._filled is None or self._filled[0] is not table or self._filled[1] is not register:
            self._filled = table, register, table.filled(register.departments, register.trunks)
        return self._filled[2]

    @property
    def register(self) -> Register:
        return self._register()

    @property
    def places(self) -> Places:
        return self._places()

    def place(self, unit: str) -> Place:
        return self.places.of(unit)

    def seats(self, extension: str, department: str, building: str) -> list[Seat] | None:
        """The matching seats; None if no criterion is given, empty if no seat matches."""
        units = {unit for unit, place in self.places.named.items() if building and place.building == building}
        if not extension and not department:
            return [Seat(unit) for unit in sorted(units)] if building else None
        return [
            Seat(one.row.unit, one.row.line, rfc3339(one.row.from_ns), _time(one.until_ns))
            for one in self.lines.periods_of(extension, department)
            if not building or one.row.unit in units
        ]


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)


def _table[T](path: str | None, load: Callable[[Path], T], empty: T) -> Callable[[], T]:
    """A function that returns the present table, or `empty` without a configured file."""
    return (lambda: empty) if path is None else ReloadedFile(Path(path), load, log, "table_unread").now


DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
DISPOSITIONS: tuple[Disposition, ...] = get_args(Disposition)
MARKS = ("any", "abuse")
FIELDS = (
    "from", "to", "unit", "line", "extension", "department", "building", "direction", "disposition", "mark", "state",
    "case",
)  # fmt: skip
_LONGEST = 200
MOST_DIGITS = 8  # of an extension outside all tables

ERRORS = {
    "time": N_("Enter a time such as 2026-11-24 or 2026-11-24T13:00."),
    "order": N_("The end is before the beginning."),
    "unit": N_("Enter a unit's name: lower-case letters, digits and hyphens."),
    "line": N_("Enter a line number from 1 to 128."),
    "extension": N_(
        "Enter an extension of at most 8 digits, or a number from the table of lines. Other telephone numbers cannot "
        "be searched here."
    ),
    "choice": N_("Choose a value from the list."),
    "long": N_("Enter at most 200 characters, without control characters."),
    "many": N_("There are too many places to search at once. Choose a unit as well."),
    "page": N_("That page does not belong to this search. Search again from the beginning."),
}


@dataclass(frozen=True, slots=True)
class Form:
    """The form. `typed`: by the fields' names. `errors`: field -> msgid."""

    typed: Mapping[str, str]
    errors: Mapping[str, str]
    criteria: SearchCriteria = field(default_factory=SearchCriteria)
    cursor: Cursor | None = None

    @property
    def unit_alone(self) -> tuple[str, int | None] | None:
        """The unit, or its line, if the search is for one."""
        seats = self.criteria.seats
        if seats is not None and len({(seat.unit, seat.line) for seat in seats}) == 1:
            return seats[0].unit, seats[0].line if seats[0].line is not None else self.criteria.line
        return (self.criteria.unit, self.criteria.line) if self.criteria.unit is not None and seats is None else None

    @property
    def is_plain(self) -> bool:
        """Whether place and time are the only criteria, so that no other one excludes a call."""
        criteria = self.criteria
        return not any((criteria.direction, criteria.disposition, criteria.mark, criteria.state))


def typed(query: Mapping[str, str]) -> dict[str, str]:
    """The form's fields, each cut to slightly more than the longest valid text."""
    found = {name: normalize("NFC", query.get(name, "")).strip()[: _LONGEST + 1] for name in FIELDS}
    return {name: text for name, text in found.items() if text}


def terms(query: Mapping[str, str]) -> str:
    """The search terms for the access log, which masks anything like a telephone number in any field."""
    return " ".join(f"{name}={text}" for name, text in typed(query).items() if name != "case")


def read_form(query: Mapping[str, str], directory: Directory, zone: ZoneInfo) -> Form:
    fields = typed(query)
    errors: dict[str, str] = {}
    for name, text in fields.items():
        if len(text) > _LONGEST or not text.isprintable():
            errors[name] = ERRORS["long"]
    since, until = _span(fields, zone, errors)
    criteria = SearchCriteria(since=since, until=until)
    if (unit := fields.get("unit")) is not None:
        good = unitnames.is_name(unit) and not has_number(unit)
        criteria = replace(criteria, unit=unit) if good else _wrong(criteria, errors, "unit", "unit")
    if (line := fields.get("line")) is not None:
        good = line.isascii() and line.isdigit() and len(line) <= 4 and 1 <= int(line) <= 128
        criteria = replace(criteria, line=int(line)) if good else _wrong(criteria, errors, "line", "line")
    extension = fields.get("extension", "")
    if extension and not (_is_extension(extension) or directory.lines.periods_of(extension, "")):
        errors["extension"] = ERRORS["extension"]
    for name, choices in (("direction", DIRECTIONS), ("disposition", DISPOSITIONS), ("mark", MARKS), ("state", STATES)):
        if name in fields and fields[name] not in choices:
            errors[name] = ERRORS["choice"]
    if errors:
        return Form(fields, errors)
    seats = directory.seats(extension, fields.get("department", ""), fields.get("building", ""))
    if seats is not None and criteria.unit is not None:
        seats = [seat for seat in seats if seat.unit == criteria.unit]
    if seats is not None and len(seats) > MOST_SEATS:
        return Form(fields, {"unit": ERRORS["many"]})
    state: State | None = next((one for one in STATES if one == fields.get("state")), None)
    criteria = replace(criteria, seats=seats, direction=fields.get("direction"), disposition=fields.get("disposition"),
                     mark=fields.get("mark"), state=state)  # fmt: skip
    try:
        cursor = Cursor.parse(query["page"]) if query.get("page") else None
    except BadInput:
        return Form(fields, {"page": ERRORS["page"]}, criteria)
    return Form(fields, {}, criteria, cursor)


def _is_extension(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def _span(fields: Mapping[str, str], zone: ZoneInfo, errors: dict[str, str]) -> tuple[str | None, str | None]:
    """The searched times. A date includes its whole day, a minute its whole minute."""
    ends: dict[str, int] = {}
    for name, read_time in (("from", moment_ns), ("to", last_ns)):
        if name in fields and name not in errors:
            try:
                ends[name] = read_time(fields[name], zone)
            except BadInput:
                errors[name] = ERRORS["time"]
    if "from" in ends and "to" in ends and ends["to"] < ends["from"]:
        errors["to"] = ERRORS["order"]
    since = rfc3339(ends["from"]) if "from" in ends else None
    return since, rfc3339(ends["to"] + 1) if "to" in ends else None


def _wrong(criteria: SearchCriteria, errors: dict[str, str], name: str, code: str) -> SearchCriteria:
    errors[name] = ERRORS[code]
    return criteria
