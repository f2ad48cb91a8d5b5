# SPDX-License-Identifier: Apache-2.0
"""The drawing and its netlist, for hardware's tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rules.card import Card
from simulation.finding import Finding
from simulation.netlist import HARDWARE, Netlist
from simulation.rows import ROWS

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
