# SPDX-License-Identifier: Apache-2.0
"""The holes for the card's spacers: near all parts, and with room for a spacer and the head of its screw."""

from __future__ import annotations

from itertools import product
from math import hypot

import numpy as np

from pcb import boardfile, cardboard, places
from pcb.cardboard import NAME, CardBoard
from pcb.copper import Copper, from_point
from pcb.footprints import Pad
from pcb.pcb import MOVED
from pcb.places import Box, on_board
from simulation.netlist import HARDWARE

BOARD = CardBoard()
WHERE, _ = cardboard.load(places.load())
SPACER_MM = 3.5  # half of a washer of M3 (DIN 125: 7 mm across), wider than a spacer of 6 mm across its corners
COPPER_MM = 0.5  # the least between copper and an edge
REACH_MM = 80.0  # before there were holes in the middle, C1307 had 125 mm to the nearest and the middle 150


def off(box: Box, x: float, y: float) -> float:
    return hypot(max(box.left - x, 0, x - box.right), max(box.top - y, 0, y - box.bottom))


def test_no_place_of_the_card_is_far_from_a_spacer() -> None:
    for x, y in product(range(0, int(WHERE.width) + 1, 4), range(0, int(WHERE.height) + 1, 4)):
        assert min(hypot(x - a, y - b) for a, b, _ in WHERE.holes) < REACH_MM, (x, y)


def test_no_part_is_below_a_spacer_or_a_screw() -> None:
    for reference, part in BOARD.parts.items():
        left, top, right, bottom = BOARD.footprints[BOARD.footprint_of[part.kind_name]].body
        middle = Pad("", (left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
        box = on_board(middle, WHERE.place[reference])
        for x, y, _ in WHERE.holes:
            assert off(box, x, y) > SPACER_MM, (reference, x, y)


def test_the_card_has_the_holes_and_no_copper_at_them() -> None:
    text = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
    for x, y, wide in WHERE.holes:
        circle = (
            f"(gr_circle\n\t\t(center {MOVED + x:g} {MOVED + y:g})\n\t\t(end {MOVED + x + wide / 2:g} {MOVED + y:g})"
        )
        assert circle in text, (x, y)
    board = boardfile.read(text)
    ends = np.array([(each.x1, each.y1, each.x2, each.y2) for each in board.tracks])
    pens = np.array([each.width / 2 for each in board.tracks])
    for x, y, wide in WHERE.holes:
        middle, least = np.array([MOVED + x, MOVED + y]), wide / 2 + COPPER_MM
        assert (from_point(middle, ends[:, :2], ends[:, 2:]) - pens).min() > least, (x, y)
        for area in board.areas:
            assert from_point(middle, area.outline, np.roll(area.outline, -1, axis=0)).min() > least - 0.01, (x, y)
            assert not Copper(area.layer, area.outline).covers(middle), (x, y)
