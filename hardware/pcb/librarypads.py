# SPDX-License-Identifier: Apache-2.0
"""Reads the pads of KiCad's own footprints, from its library or from the notes, as rows of circuit/footprints.toml."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

from drawing.tables import CIRCUIT
from linetap_core.tomlfile.source import Source
from pcb.boardfile import pad_fields
from pcb.footprints import Pad, pads_of_row

LIBRARY = Path("/usr/share/kicad/footprints")
NOTED = CIRCUIT / "librarypads.toml"
DECIMALS = 4


def noted(path: Path = NOTED) -> dict[str, list[str]]:
    """Library/name -> its noted rows."""
    return {name: list(entry["pads"]) for name, entry in Source(path).data.items()}


def noted_openings(path: Path = NOTED) -> dict[str, list[str]]:
    """Library/name -> its noted openings of the stencil, for those that have any."""
    return {name: list(entry["openings"]) for name, entry in Source(path).data.items() if "openings" in entry}


def pads(rows: list[str]) -> list[Pad]:
    return [pad for row in rows for pad in pads_of_row(row)]


def path_of(name: str) -> Path:
    library, footprint = name.split("/")
    return LIBRARY / f"{library}.pretty" / f"{footprint}.kicad_mod"


def installed(name: str) -> list[Pad]:
    """The pads in the installed library's file, without unnumbered items: pegs, and openings for paste."""
    return [_pad(number, fields) for number, _, _, fields in pad_fields(path_of(name).read_text()) if number]


def openings(name: str) -> list[str]:
    """The openings of the stencil that the installed library's file has apart from its pads: x, y, width, height."""
    every = pad_fields(path_of(name).read_text())
    apart = [
        _pad("-", fields) for _, _, _, fields in every if "Paste" in fields["layers"] and ".Cu" not in fields["layers"]
    ]
    return [f"{pad.x:g} {pad.y:g} {pad.width:g} {pad.height:g}" for pad in apart]


def rows(found: list[Pad]) -> list[str]:
    """The pads as rows; consecutive pads with equal spacing share one row."""
    runs: list[list[Pad]] = []
    for pad in found:
        if runs and _goes_on(runs[-1], pad):
            runs[-1].append(pad)
        else:
            runs.append([pad])
    return [_row(run) for run in runs]


def _pad(number: str, fields: dict[str, str]) -> Pad:
    x, y, *angle = map(float, fields["at"].split())
    width, height = map(float, fields["size"].split())
    drill, slot, *_ = [*(float(word) for word in fields.get("drill", "0").split() if word != "oval"), 0.0]
    if angle and angle[0] % 180:
        width, height = height, width
        drill, slot = (slot, drill) if slot else (drill, slot)
    return Pad(number, x, y, width, height, drill, slot)


def _goes_on(run: list[Pad], pad: Pad) -> bool:
    last = run[-1]
    letters = last.number.rstrip("0123456789")
    digits = last.number.removeprefix(letters)
    if replace(pad, number=last.number, x=last.x, y=last.y) != last or not digits:
        return False
    return pad.number == f"{letters}{int(digits) + 1}" and (len(run) == 1 or _step(last, pad) == _step(run[-2], last))


def _step(one: Pad, other: Pad) -> tuple[float, float]:
    return round(other.x - one.x, DECIMALS), round(other.y - one.y, DECIMALS)


def _row(run: list[Pad]) -> str:
    number, x, y, *size = astuple(run[0])
    while not size[-1]:
        size.pop()
    step: tuple[float, ...] = ()
    if len(run) > 1:
        number, step = f"{number}..{run[-1].number}", _step(*run[:2])
    return " ".join([number, *(f"{round(each, DECIMALS) + 0:g}" for each in (x, y, *step, *size))])
