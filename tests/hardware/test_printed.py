# SPDX-License-Identifier: Apache-2.0
"""The silkscreen of the card: names of plugs and test pads, and terminal 1. KiCad's rules check the rest."""

from __future__ import annotations

import re
from math import hypot

import pytest

from pcb import cardboard, lineboard, places, printed
from pcb.cardboard import NAME, CardBoard
from pcb.pcb import MOVED, warned
from pcb.places import Box, on_board
from simulation.netlist import HARDWARE

BOARD = CardBoard()
WHERE, _ = cardboard.load(places.load())
TEXT = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
PRINTS = list(printed.prints(BOARD, WHERE, [warned(WHERE)]))
NO_ROOM = {
    *(f"T{line}01" for line in range(1, 9)),  # a one-to-one transformer, symmetric
    *(f"D142{line}" for line in range(2, 9)), "D1404",  # lamps, whose cathode is flat
    "J1308",  # a terminal for two wires
    "U1002",
}  # fmt: skip


LINE_TEXT = (HARDWARE / lineboard.NAME / f"{lineboard.NAME}.kicad_pcb").read_text()
FACTORY_MM = (1.0, 0.15)  # JLCPCB, character design specifications: least height of a letter, and width of a line


def off(box: Box, x: float, y: float) -> float:
    return hypot(max(box.left - x, 0, x - box.right), max(box.top - y, 0, y - box.bottom))


def test_each_plug_and_test_pad_has_its_name_and_what_can_be_turned_a_dot() -> None:
    named = [each.text for each in PRINTS if each.text]
    assert sorted(named) == sorted(name for name, part in BOARD.parts.items() if part.prefix in printed.NAMED)
    dots = [each.reference for each in PRINTS if not each.text]
    turnable = {
        name for name, part in BOARD.parts.items() if part.prefix in printed.TURNABLE or part.kind_name in printed.POLAR
    }
    assert len(dots) == len(set(dots))
    assert turnable - set(dots) == NO_ROOM


def test_the_pad_next_to_a_dot_is_terminal_1_of_its_part() -> None:
    pads = [
        (off_board, reference, pad.number, i)
        for reference, part in BOARD.parts.items()
        for i, pad in enumerate(BOARD.footprints[BOARD.footprint_of[part.kind_name]].numbered())
        for off_board in [on_board(pad, WHERE.place[reference])]
    ]
    for dot in (each for each in PRINTS if not each.text):
        near = [each for each in pads if off(each[0], dot.x, dot.y) < 2 * printed.FAR]
        _, reference, number, i = min(near, key=lambda each: off(each[0], dot.x, dot.y))
        assert (reference, i) == (dot.reference, 0), (dot, number)
        assert number in ("1", "A1", "26"), dot


def test_what_is_committed_is_printed_so() -> None:
    for each in PRINTS:
        if each.text:
            assert f'(gr_text "{each.text}"\n\t\t(at {MOVED + each.x:g} {MOVED + each.y:g} {each.turned})' in TEXT
        else:
            assert f"(gr_circle\n\t\t(center {MOVED + each.x:g} {MOVED + each.y:g})" in TEXT


@pytest.mark.parametrize(("text", "least"), [(TEXT, len(PRINTS)), (LINE_TEXT, 2)])
def test_a_factory_can_print_each_letter_and_line(text: str, least: int) -> None:
    found = re.findall(r"\n\t\(gr_(?:text|circle) .*?\n\t\)|\n\t\(gr_(?:text|circle)\n.*?\n\t\)", text, re.DOTALL)
    printed_items = [each for each in found if '"F.SilkS"' in each]
    assert len(printed_items) >= least
    for each in printed_items:
        for high, wide in re.findall(r"\(size (\S+) (\S+)\)", each):
            assert min(float(high), float(wide)) >= FACTORY_MM[0], each
        (pen,) = re.findall(r"\((?:thickness|width) (\S+)\)", each)
        assert float(pen) >= FACTORY_MM[1], each
