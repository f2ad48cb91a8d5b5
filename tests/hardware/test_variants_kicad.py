# SPDX-License-Identifier: Apache-2.0
"""KiCad's own lists of a variant with parts left out: purchased and placed parts; board and sheets agree."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from drawing import bom, variants
from pcb import assembly, boardfile, cardboard, making, places
from pcb.cardboard import NAME, CardBoard
from simulation.netlist import HARDWARE

BOARD = CardBoard()
WHERE, _ = cardboard.load(places.load())
OTHERS = "cards-2-to-4"
VARIANT = variants.load()[OTHERS]
WITHOUT = variants.left_out(BOARD.circuit, VARIANT)
kicad = pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="kicad-cli is not installed: its lists of the variants are not made"
)


@kicad
def test_kicads_lists_are_the_variants(tmp_path: Path) -> None:
    """KiCad reads the marks from sheets and board; the committed list is read from the tables."""
    made = assembly.made(HARDWARE, BOARD, WHERE, OTHERS, VARIANT, tmp_path)
    assert made.wrong == []
    listed = (HARDWARE / bom.name_of(OTHERS)).read_text()
    count = sum(int(row.partition(",")[0]) for row in listed.splitlines()[1:])
    assert made.fitted == made.positions == count
    assert assembly.positions(tmp_path / f"{OTHERS}-pos.csv").isdisjoint(WITHOUT)
    assert (tmp_path / f"{OTHERS}-assembly.pdf").read_bytes().startswith(b"%PDF")


@kicad
def test_a_mark_that_is_on_the_sheets_alone_is_told(tmp_path: Path) -> None:
    copy = assembly.project(HARDWARE, BOARD, WITHOUT, tmp_path)
    file = copy / f"{NAME}.kicad_pcb"
    file.write_text(assembly.marked((HARDWARE / file.name).read_text(), WITHOUT - {"U1303"}))
    (told,) = assembly.differences(copy, BOARD)
    assert "U1303" in told


def test_all_that_is_left_out_is_marked_and_all_copper_stays() -> None:
    """Without KiCad."""
    text = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
    after = assembly.marked(text, WITHOUT)
    found = {
        boardfile.REFERENCE.findall(item[0])[0]
        for item in boardfile.ITEM.finditer(after)
        if item[1] == "footprint" and " dnp)" in item[0]
    }
    assert found == WITHOUT
    assert after.replace(" dnp)", ")") == text


def test_the_drawing_says_what_the_table_says() -> None:
    text = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
    drawn = assembly.noted(text, WHERE, OTHERS, VARIANT)
    for words in (VARIANT.title, *VARIANT.notes):
        assert words in drawn
    assert drawn.startswith(text.rstrip().removesuffix(")"))
    added = drawn.removeprefix(text.rstrip().removesuffix(")"))
    assert set(re.findall(r'\(layer "(.+?)"\)', added)) == {"F.Fab"}
    assert "F.Fab" not in making.LAYERS  # so the notes are on no layer of the board's films
