# SPDX-License-Identifier: Apache-2.0
"""Reads the place of each unit, its switch and its contacts: from places.toml, otherwise building and floor from its
name.

    ["*"]                                   # every building
    "*" = { contact = "IT duty 2345", power = "facilities 2119" }
    ["Main building"]
    "*" = { contact = "gate 2000" }         # every unit of the building
    main-03 = 3                             # its floor
    main-04 = { floor = 4, switch = "SW-M4", port = 12 }

A table for each building. A listed unit without messages at the broker is reported as missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args
from unicodedata import normalize

from linetap_core.evidence.signing import unitnames
from linetap_core.tomlfile.source import Source
from linetap_core.wire.alerts import Contact

EVERY = "*"
CONTACT = "contact"  # the contact if no other is named
CONTACTS: tuple[str, ...] = (CONTACT, *get_args(Contact))  # contacts by probable cause
MOST_CHARACTERS = 40
MOST_CONTACT = 80  # characters
_FLOOR = re.compile(r"(?:(.+)-)?(b?\d{1,3}f?)")  # main-03, main-b1, main-12f


@dataclass(frozen=True, slots=True)
class Place:
    building: str
    floor: str
    switch: str = ""
    port: str = ""
    contacts: Mapping[str, str] = field(default_factory=dict)  # of CONTACTS

    def contact_for(self, kind: Contact | None) -> str:
        """The contact to call; empty if none is named."""
        return self.contacts.get(kind or CONTACT) or self.contacts.get(CONTACT, "")


@dataclass(frozen=True, slots=True)
class Places:
    named: Mapping[str, Place] = field(default_factory=dict)
    everywhere: Mapping[str, str] = field(default_factory=dict)  # contacts

    def of(self, unit: str) -> Place:
        if (place := self.named.get(unit)) is not None:
            return place
        found = _FLOOR.fullmatch(unit)
        if found is None:
            return Place("", "", contacts=self.everywhere)
        return Place(found[1] or "", found[2].lstrip("0") or "0", contacts=self.everywhere)

    def buildings(self) -> list[str]:
        """The buildings of the file, in its order."""
        return list(dict.fromkeys(place.building for place in self.named.values()))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The places. BadInput lists every fault with its line."""
        return cls(*_Reader(Source(path)).read())


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self) -> tuple[dict[str, Place], dict[str, str]]:
        source, named = self._source, dict[str, Place]()
        shared = source.data.get(EVERY)
        everywhere = self._common_contacts((EVERY,), shared) if isinstance(shared, dict) else {}
        for building, units in source.data.items():
            if not isinstance(units, dict) or not _is_short(building):
                source.add((building,), f'a table named as a building expected, ["{building[:MOST_CHARACTERS]}"]')
                continue
            of_all = everywhere | (self._common_contacts((building,), units) if building != EVERY else {})
            for unit, entry in units.items():
                if unit == EVERY:
                    continue
                if building == EVERY:
                    source.add((building, unit), f'{unit}: under every building only "*" expected')
                elif not unitnames.is_name(unit):
                    source.add((building, unit), f"{unit!r} is no name of a unit")
                elif unit in named:
                    source.add((building, unit), f"{unit} stands under {named[unit].building!r} already")
                elif (place := self._place((building, unit), entry, of_all)) is not None:
                    named[unit] = place
        source.check()
        return named, everywhere

    def _common_contacts(self, path: tuple[str, ...], units: dict[str, Any]) -> dict[str, str]:
        """The contacts of the table's "*"."""
        entry = units.get(EVERY)
        if entry is None:
            return {}
        if not isinstance(entry, dict):
            self._source.add((*path, EVERY), f"of every unit its contacts expected: {', '.join(CONTACTS)}")
            return {}
        return self._contacts((*path, EVERY), entry)

    def _place(self, path: tuple[str, str], entry: object, of_all: dict[str, str]) -> Place | None:
        building, unit = path
        fields = dict(entry) if isinstance(entry, dict) else {"floor": entry}
        floor, switch, port = (fields.pop(name, "") for name in ("floor", "switch", "port"))
        for name, value in (("floor", floor), ("switch", switch), ("port", port)):
            if not isinstance(value, str | int) or isinstance(value, bool) or not _is_short(str(value)):
                self._source.add(path, f'the {name} of {unit}: a number or a short text expected, "B1"')
                return None
        building, floor, switch, port = (normalize("NFC", str(one)) for one in (building, floor, switch, port))
        return Place(building, floor, switch, port, of_all | self._contacts(path, fields))  # names as searched for

    def _contacts(self, path: tuple[str, ...], entry: dict[str, Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, text in entry.items():
            if name not in CONTACTS:
                self._source.add((*path, name), f"{name!r} is unknown here: {', '.join(CONTACTS)} expected")
            elif not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= MOST_CONTACT:
                self._source.add((*path, name), f"{name}: a text of 1 to {MOST_CONTACT} characters expected")
            else:
                found[name] = text
        return found


def floor_order(floor: str) -> tuple[bool, int, str]:
    """A sort key: B2, B1, 1, 2, 10; non-numeric floors last."""
    found = re.fullmatch(r"(b?)(\d{1,3})f?", floor.lower())
    number = 0 if found is None else -int(found[2]) if found[1] else int(found[2])
    return found is None, number, floor


def _is_short(text: str) -> bool:
    return text.isprintable() and len(text) <= MOST_CHARACTERS
