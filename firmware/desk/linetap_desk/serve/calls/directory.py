# SPDX-License-Identifier: Apache-2.0
"""Who sits where: the tables of lines (`serve.lines`) and of units' places (`watch.places`), read anew on a change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_desk.calls.criteria import Seat
from linetap_desk.searching.departments import Departments
from linetap_desk.serve.settings import Settings
from linetap_desk.watch.places import Place, Places

log = logging.getLogger("linetap.serve")


class House:
    def __init__(self, settings: Settings) -> None:
        """BadInput for a file that cannot be used."""
        zone: ZoneInfo = settings.zone
        lines, places = settings.desk.serve.lines, settings.desk.watch.places
        self._lines = _Kept(lines, lambda path: Departments.load(path, zone), Departments([]))
        self._places = _Kept(places, Places.read, Places())

    @property
    def lines(self) -> Departments:
        return self._lines.now()

    @property
    def places(self) -> Places:
        return self._places.now()

    def place(self, unit: str) -> Place:
        return self.places.of(unit)

    def seats(self, extension: str, department: str, building: str) -> list[Seat] | None:
        """None where none of the three is named; empty where nobody sits there."""
        units = {unit for unit, place in self.places.named.items() if building and place.building == building}
        if not extension and not department:
            return [Seat(unit) for unit in sorted(units)] if building else None
        return [
            Seat(one.row.unit, one.row.line, rfc3339(one.row.from_ns), _time(one.until_ns))
            for one in self.lines.sat(extension, department)
            if not building or one.row.unit in units
        ]


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)


class _Kept[T]:
    def __init__(self, path: str | None, read: Callable[[Path], T], empty: T) -> None:
        self._path, self._read, self._found = None if path is None else Path(path), read, empty
        self._seen: tuple[int, int] | None = None
        if self._path is not None:
            self._found, self._seen = read(self._path), _seen(self._path)

    def now(self) -> T:
        """One that is damaged changes nothing until it is whole."""
        if self._path is not None and (seen := _seen(self._path)) != self._seen:
            self._seen = seen
            try:
                self._found = self._read(self._path)
            except BadInput as error:
                log.error("table_unread: %s; the one read before counts", error)
        return self._found


def _seen(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
