# SPDX-License-Identifier: Apache-2.0
"""The building and floor of each unit: from the desk's own file, else from the unit's name.

    ["Main building"]
    main-03 = "3"
    main-b1 = "B1"

A table for each building, a line for each unit with its floor. A listed unit that the broker does not have is reported
as missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from linetap_core.evidence.signing import unitnames
from linetap_core.tomlfile.source import Source

_FLOOR = re.compile(r"(?:(.+)-)?(b?\d{1,3}f?)")  # main-03, main-b1, main-12f
MOST_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Place:
    building: str
    floor: str


@dataclass(frozen=True, slots=True)
class Places:
    named: Mapping[str, Place] = field(default_factory=dict)

    def of(self, unit: str) -> Place:
        if (place := self.named.get(unit)) is not None:
            return place
        found = _FLOOR.fullmatch(unit)
        return Place("", "") if found is None else Place(found[1] or "", found[2].lstrip("0") or "0")

    def buildings(self) -> list[str]:
        """Those of the file, in its order."""
        return list(dict.fromkeys(place.building for place in self.named.values()))

    @classmethod
    def read(cls, path: Path) -> Self:
        """BadInput lists every fault with its line."""
        source = Source(path)
        named: dict[str, Place] = {}
        for building, units in source.data.items():
            if not isinstance(units, dict) or not _is_short(building):
                source.add((building,), f'a table named as a building expected, ["{building[:MOST_CHARACTERS]}"]')
                continue
            for unit, floor in units.items():
                if not unitnames.is_name(unit):
                    source.add((building, unit), f"{unit!r} is no name of a unit")
                elif unit in named:
                    source.add((building, unit), f"{unit} stands under {named[unit].building!r} already")
                elif not isinstance(floor, str | int) or isinstance(floor, bool) or not _is_short(str(floor)):
                    source.add((building, unit), f'the floor of {unit}: a number or a short text expected, "B1"')
                else:
                    named[unit] = Place(building, str(floor))
        source.check()
        return cls(named)


def floor_order(floor: str) -> tuple[bool, int, str]:
    """A sort key: B2, B1, 1, 2, 10; non-numeric floors last."""
    found = re.fullmatch(r"(b?)(\d{1,3})f?", floor.lower())
    number = 0 if found is None else -int(found[2]) if found[1] else int(found[2])
    return found is None, number, floor


def _is_short(text: str) -> bool:
    return text.isprintable() and len(text) <= MOST_CHARACTERS
