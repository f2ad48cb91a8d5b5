# SPDX-License-Identifier: Apache-2.0
"""The register of extensions, and its import from the PBX's list: a CSV, read strictly, with every bad line
reported."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

from linetap_core.errors import BadInput
from linetap_desk.inputs import spreadsheet
from linetap_desk.inputs.spreadsheet import plain

Kind = Literal["analog", "ip_phone", "digital_set", "mobile", "fax", "trunk_line", "unused"]
KINDS: tuple[Kind, ...] = get_args(Kind)
COLUMNS = ("extension", "kind", "department")
MOST_TOLD = 50  # reported bad lines
_SHOWN_CELLS = 6
_MOST_DIGITS, _TEXT_LIMIT = 8, 120
_MOST_OF_TRUNK = 15  # letters or digits of the trunk's name at the PBX, as a unit's order allows

# Headings of PBXs and people: FreePBX's bulk handler has `extension` and `tech`, Avaya's `list station` Ext and Type.
HEADINGS: Mapping[str, str] = {
    "extension": "extension", "ext": "extension", "ext.": "extension", "dn": "extension", "내선": "extension",
    "내선번호": "extension", "전화번호": "extension", "kind": "kind", "type": "kind", "tech": "kind", "종류": "kind",
    "단말": "kind", "단말종류": "kind", "전화기": "kind", "department": "department", "room": "department",
    "부서": "department", "부서명": "department", "소속": "department",
}  # fmt: skip
WORDS: Mapping[str, Kind] = {
    "analog": "analog", "analogue": "analog", "slt": "analog", "fxs": "analog", "dahdi": "analog", "2500": "analog",
    "아날로그": "analog", "일반": "analog", "일반전화": "analog", "ip_phone": "ip_phone", "ip": "ip_phone",
    "ipphone": "ip_phone", "sip": "ip_phone", "pjsip": "ip_phone", "voip": "ip_phone", "ip전화": "ip_phone",
    "인터넷전화": "ip_phone", "digital_set": "digital_set", "digital": "digital_set", "dkt": "digital_set",
    "디지털": "digital_set", "키폰": "digital_set", "mobile": "mobile", "휴대전화": "mobile", "휴대폰": "mobile",
    "fax": "fax", "팩스": "fax", "trunk_line": "trunk_line", "trunk": "trunk_line", "co": "trunk_line",
    "coline": "trunk_line", "국선": "trunk_line",
    "unused": "unused", "미사용": "unused", "공번": "unused", "": "unused",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extension:
    number: str
    kind: Kind
    department: str = ""


class BadLines(BadInput):
    """The faults of a file. `lines`: one for each bad line, with its place."""

    def __init__(self, path: Path, lines: Sequence[str]) -> None:
        self.lines = list(lines)
        super().__init__(f"{path}: {len(lines)} bad lines; the first: {lines[0]}")


@dataclass(frozen=True, slots=True)
class Register:
    extensions: tuple[Extension, ...] = ()

    @property
    def departments(self) -> dict[str, str]:
        """Extension, or name of a trunk -> department, if it has one."""
        return {one.number: one.department for one in self.extensions if one.department}

    @property
    def trunks(self) -> frozenset[str]:
        """The names of trunk lines at the PBX."""
        return frozenset(one.number for one in self.extensions if one.kind == "trunk_line")

    @classmethod
    def load(cls, path: Path) -> Self:
        """The imported register. Faults for bad lines, BadInput for another kind of file."""
        return cls(_read(path, {}, {name: name for name in KINDS}, dict(zip(COLUMNS, COLUMNS, strict=True))))


def imported(path: Path, columns: Mapping[str, str], kinds: Mapping[str, str]) -> Register:
    """Imports a PBX's list. `columns`: its heading -> ours; `kinds`: its word -> ours; both in addition to the known
    ones."""
    for given, known, what in ((columns, COLUMNS, "--column"), (kinds, KINDS, "--kind")):
        if wrong := next((name for name in given.values() if name not in known), None):
            raise BadInput(f"{what} {wrong}: one of {', '.join(known)} expected behind the =")
    words = {**WORDS, **{plain(word): kind for word, kind in kinds.items()}}
    return Register(_read(path, columns, words, dict(HEADINGS)))


def csv_of(register: Register) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((one.number, one.kind, one.department) for one in register.extensions)
    return out.getvalue().encode()


def _read(
    path: Path, columns: Mapping[str, str], words: Mapping[str, str], headings: Mapping[str, str]
) -> tuple[Extension, ...]:
    own = {plain(name): ours for name, ours in columns.items()}
    known = {name: ours for name, ours in headings.items() if ours not in own.values()} | own
    table = spreadsheet.read(path, lambda cells: len({known.get(plain(cell)) for cell in cells} - {None}))
    places = _places(f"{path}:{table.line}", table.header, known)
    words = {plain(word): kind for word, kind in words.items()}
    found: dict[str, Extension] = {}
    faults: list[str] = []
    try:
        for line, cells in table.rows:
            if not any(cell.strip() for cell in cells):
                continue
            try:
                one = _extension(cells, places, words)
                if found.setdefault(one.number, one) is not one:
                    raise BadInput(f"extension {one.number}: an earlier row has it already")
            except BadInput as error:
                faults.append(f"{path}:{line}: {error}")
    except spreadsheet.Unreadable as error:
        faults.append(str(error))
    if faults:
        raise BadLines(path, faults)
    return tuple(found.values())


def _places(where: str, row: list[str], known: Mapping[str, str]) -> dict[str, int]:
    """The positions of our columns in the list's rows; the department is optional."""
    places: dict[str, int] = {}
    for number, cell in enumerate(row):
        ours = known.get(plain(cell))
        if ours is not None and places.setdefault(ours, number) != number:
            raise BadInput(f"{where}: two columns for {ours}; name one by --column HEADING={ours}")
    if missing := [name for name in ("extension", "kind") if name not in places]:
        shown = [repr(cell.strip()[:20]) for cell in row[:_SHOWN_CELLS]] + ["..."] * (len(row) > _SHOWN_CELLS)
        text = f"no column {' and '.join(missing)} in the header {', '.join(shown) or '(empty)'}"
        raise BadInput(f"{where}: {text}; name it by --column HEADING={missing[0]}")
    return places


def _extension(cells: list[str], places: Mapping[str, int], words: Mapping[str, str]) -> Extension:
    taken = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
    number, word, department = taken["extension"], taken["kind"], taken.get("department", "")
    kind = next((one for one in KINDS if one == words.get(plain(word))), None)
    if kind == "trunk_line":
        if not (number.isascii() and number.isalnum() and len(number) <= _MOST_OF_TRUNK):
            raise BadInput(f"trunk {number[:20]!r}: 1 to {_MOST_OF_TRUNK} letters or digits expected")
    elif not (number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS):
        raise BadInput(f"extension {number[:20]!r}: 1 to {_MOST_DIGITS} digits expected")
    if kind is None:
        raise BadInput(f"{word[:20]!r}: not a kind; {', '.join(KINDS)} expected, or --kind {word[:20] + '=ip_phone'!r}")
    if len(department) > _TEXT_LIMIT or not department.isprintable():
        raise BadInput(f"department: at most {_TEXT_LIMIT} characters expected")
    return Extension(number, kind, department)
