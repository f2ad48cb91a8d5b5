# SPDX-License-Identifier: Apache-2.0
"""KiCad finds no fault in the committed board, and detects faults made by a test."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pcb import making
from pcb.lineboard import NAME
from simulation.netlist import HARDWARE

FOLDER = HARDWARE / NAME
pytestmark = pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="kicad-cli is not installed: the board's design rules are not checked"
)


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    copy = making.copied(FOLDER, folder)
    text = (copy / name).read_text()
    assert re.search(old, text)
    (copy / name).write_text(re.sub(old, new, text, count=1))
    return copy


def test_the_board_breaks_no_rule() -> None:
    assert making.design_rules(FOLDER, NAME) == making.Verdict(broken=0, open=0, parity=0, first="")
    assert making.electrical_rules(FOLDER, NAME) == 0


def test_a_cut_track_is_open(tmp_path: Path) -> None:
    track = r"\t\(segment\n(?:\t\t\(.*\)\n)+?\t\)\n"
    assert making.design_rules(changed(tmp_path, f"{NAME}.kicad_pcb", track, ""), NAME).open > 0


def test_a_pad_on_another_net_is_told(tmp_path: Path) -> None:
    """U108's two inputs are exchanged, only on the board."""
    found = making.design_rules(
        changed(tmp_path, f"{NAME}.kicad_pcb", r'\(net (\d+) "/ai"\)\n', r'(net \1 "/bi")\n'), NAME
    )
    assert found.parity + found.broken > 0


def test_each_difference_between_board_and_sheets_is_told(tmp_path: Path) -> None:
    """`parity` leaves out the rules of copper, and no comparison."""
    copy = changed(tmp_path, f"{NAME}.kicad_pcb", r'"Reference" "U108"', '"Reference" "U908"')
    file = copy / f"{NAME}.kicad_pcb"
    text = re.sub(r'\(net (\d+) "/ai"\)\n', r'(net \1 "/bi")\n', file.read_text(), count=1)
    text = re.sub(r'"Value" "[^"]+"', '"Value" "another"', text, count=1)
    file.write_text(re.sub(r"\(attr smd\)", "(attr smd dnp)", text, count=1))
    told = "\n".join(making.parity(copy, NAME))
    for words in (
        "Extra footprint",
        "Missing footprint U108",
        "net given by schematic",
        "another",
        "'Do not populate'",
    ):
        assert words in told, told
    assert making.parity(FOLDER, NAME) == []


def test_the_barrier_is_checked_along_the_surface(tmp_path: Path) -> None:
    """The actual distance is above 3.2 mm, so a rule of 12 mm is broken."""
    wider = changed(tmp_path, f"{NAME}.kicad_dru", r"creepage \(min 3.2mm\)", "creepage (min 12mm)")
    found = making.design_rules(wider, NAME)
    assert found.broken > 0
    assert found.first.startswith("Creepage violation")
