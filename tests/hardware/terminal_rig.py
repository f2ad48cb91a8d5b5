# SPDX-License-Identifier: Apache-2.0
"""Compares each part's terminals in circuit/ with the list of another source."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec

from drawing.tables import CIRCUIT, Kind
from linetap_core.tomlfile.source import Source
from pcb.footprints import Footprint

LIBRARY = Path("/usr/share/kicad/symbols")
PIN = re.compile(r'\(pin \w+ \w+.*?\(name "(.*?)".*?\(number "(.*?)"', re.DOTALL)
NAMELESS = "~"


class Terminals(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of `symbol`, `terminals` and `none`. `more` are only theirs: those of a case with more terminals
    than ours.
    """

    symbol: str = ""
    terminals: list[str] = []
    read: str = ""
    none: str = ""
    names: list[str] = []
    more: list[str] = []

    def theirs(self) -> dict[str, str]:
        """Number -> name."""
        if self.terminals:
            return {str(i): name for i, name in enumerate(self.terminals, 1)}
        library, name = self.symbol.split("/")
        return {number: each for number, each in pins(library, name).items() if number not in self.more}


def table(path: Path = CIRCUIT / "terminals.toml") -> dict[str, Terminals]:
    return {name: msgspec.convert(entry, Terminals) for name, entry in Source(path).data.items()}


@cache
def _symbols(library: str) -> dict[str, str]:
    text = (LIBRARY / f"{library}.kicad_sym").read_text()
    blocks = re.split(r'\n\t\(symbol "', text)[1:]
    return {block.split('"')[0]: block for block in blocks}


def pins(library: str, name: str) -> dict[str, str]:
    """The pins of a symbol, or of the one it extends."""
    block = _symbols(library)[name]
    if made_from := re.search(r'\(extends "(.*?)"\)', block):
        return pins(library, made_from[1])
    return {number: each for each, number in PIN.findall(block)}


def differences(kind: Kind, footprint: Footprint, said: Terminals) -> list[str]:
    """Differences terminal by terminal, and unused rows of `names`."""
    drawn: dict[str, list[str]] = {}
    for pin in kind.pin_rows():
        drawn.setdefault(pin.number, []).append(pin.name)
    theirs, left = said.theirs(), set(said.names)
    found = []
    for number, pad in zip(footprint.numbered(), footprint.pad_rows(), strict=True):
        other = theirs.get(number.number)
        ours = list(dict.fromkeys([*drawn.get(pad.number, []), *([pad.number] * (pad.number != number.number))]))
        if other is None:
            found.append(f"{number.number}: they have none")
        elif ours and other not in (NAMELESS, number.number):
            words = {_plain(other), *(_plain(word) for word in other.split("/"))}
            rows = {f"{name} {word}" for name in ours for word in (other, *other.split("/"))} & set(said.names)
            left -= rows
            if not rows and not {_plain(name) for name in ours} & words:
                found.append(f"{number.number}: {' or '.join(ours)} here, {other} there")
    absent = theirs.keys() - {pad.number for pad in footprint.numbered()}
    return [*found, *(f"{number}: only they have it" for number in sorted(absent)), *(f"unused: {row}" for row in left)]


def _plain(name: str) -> str:
    """`~{CLR}` is clr, GPIO02 is gpio2."""
    return re.sub(r"(?<=[a-z])0+(?=\d)", "", name.removeprefix("~").strip("{}").lower())
