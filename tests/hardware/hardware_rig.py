# SPDX-License-Identifier: Apache-2.0
"""The drawing, its netlist and the content of a board's file, for hardware's tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pcb.boardfile import BoardFile
from rules.card import Card
from simulation.finding import Finding
from simulation.netlist import HARDWARE, Netlist
from simulation.rows import ROWS

Nets = dict[str, list[tuple[str, str]]]

LINE = 1  # the simulated front end; a test compares the other seven with it


@cache
def front_end() -> Netlist:
    return Netlist.read().line(LINE)


@cache
def drawn_card() -> Card:
    return Card.drawn()


@cache
def findings(row: str) -> tuple[Finding, ...]:
    """The findings of a row of requirements, computed once a run; the table in the README is made from the same."""
    return tuple(ROWS[row](front_end()))


def copied(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """The circuit's tables in a separate folder, with replacements (file, old, new)."""
    for path in (HARDWARE / "circuit").iterdir():
        (folder / path.name).write_text(path.read_text())
    for name, old, new in changes:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    return folder


def on_copper(board: BoardFile) -> tuple[list[str], Nets]:
    """References in order, and net -> its (reference, pad), each pad's name once."""
    found: dict[str, set[tuple[str, str]]] = {}
    for pad in board.pads:
        if pad.net:
            found.setdefault(pad.net, set()).add((pad.reference, pad.number))
    return sorted(board.parts), {net: sorted(nodes) for net, nodes in found.items()}
