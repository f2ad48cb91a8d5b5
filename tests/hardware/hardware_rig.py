# SPDX-License-Identifier: Apache-2.0
"""The drawing and its netlist, as hardware's tests want them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rules.card import Card
from simulation.finding import Finding
from simulation.netlist import HARDWARE, Netlist
from simulation.rows import ROWS

LINE = 1  # the front end that is simulated; a test holds the other seven to it


@cache
def front_end() -> Netlist:
    return Netlist.read().line(LINE)


@cache
def drawn_card() -> Card:
    return Card.drawn()


@cache
def findings(row: str) -> tuple[Finding, ...]:
    """Of a row of requirements, once a run: the table in the README is made of the same."""
    return tuple(ROWS[row](front_end()))


def copied(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """The circuit's tables in a folder of one's own, with (file, old, new) put into them."""
    for path in (HARDWARE / "circuit").iterdir():
        (folder / path.name).write_text(path.read_text())
    for name, old, new in changes:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    return folder
