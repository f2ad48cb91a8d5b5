# SPDX-License-Identifier: Apache-2.0
"""The card's barrier, measured on its copper with all layers projected into one. KiCad's own check:
test_card_board_kicad.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from drawing.project import LINES
from pcb import cardboard, places
from pcb.boardfile import read
from pcb.cardboard import NAME, CardBoard
from pcb.distance import CELL, Piece, least, pieces
from simulation.netlist import HARDWARE

BOARD, LINE = CardBoard(), places.load()
WHERE, _ = cardboard.load(LINE)
TEXT = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
COPPER = pieces(read(TEXT))
APART = ("LINE", "MIDDLE", "ENTRY")


def side(piece: Piece) -> str:
    """The class of a piece. A relay's unconnected contact is the pair's; other pieces without a net belong
    to no class.
    """
    if not piece.net:
        return "LINE" if piece.reference.startswith("K") else ""
    kind = WHERE.class_of(BOARD.plain(piece.net))
    return kind if kind in APART else "CARD"


def of(name: str) -> Callable[[Piece], bool]:
    return lambda piece: side(piece) == name


@pytest.mark.parametrize(
    ("one", "other", "asked"),
    [
        ("LINE", "CARD", LINE.barrier.line_to_card),
        ("LINE", "ENTRY", LINE.barrier.line_to_card),
        ("MIDDLE", "CARD", LINE.barrier.middle_to_card),
        ("MIDDLE", "LINE", LINE.barrier.line_to_middle),
        ("ENTRY", "CARD", LINE.barrier.entry_to_card),
    ],
)
def test_copper_of_two_sides_is_apart(one: str, other: str, asked: float) -> None:
    assert asked < CELL
    found = least(COPPER, of(one), of(other))
    assert found.mm >= asked, found.where


def test_every_piece_is_read() -> None:
    """As many as in the file; a via and a through-hole pad count in four layers."""
    drawn = len(re.findall(r"\n\t\(segment", TEXT)) + 4 * len(re.findall(r"\n\t\(via", TEXT))
    assert drawn > 10_000
    assert sum(not piece.reference and not piece.copper.filled for piece in COPPER) == drawn
    planes = [piece.net for piece in COPPER if piece.copper.filled and not piece.reference]
    assert len(planes) == len(re.findall(r"\(filled_polygon", TEXT))
    assert set(planes) == {plane.net for plane in WHERE.planes} | {pour.net for pour in WHERE.pours}
    on_pads = {(piece.reference, piece.net) for piece in COPPER if piece.reference and piece.net}
    assert on_pads == {(reference, net) for net, nodes in BOARD.nets.items() for reference, _ in nodes}


def test_a_track_that_is_moved_nearer_is_told() -> None:
    """A ground track beside the pair's fuse, 3.1 mm from its pad, on the other side of the board."""
    pad = next(piece for piece in COPPER if piece.reference == "F101" and side(piece) == "LINE")
    x, y = pad.copper.points.min(axis=0) - (3.1 + 0.125, 0)
    (ground,) = re.findall(r'\n\t\(net (\d+) "GND"\)', TEXT)
    ends = f"(start {x:.4f} {y:.4f})\n\t\t(end {x:.4f} {y + 1:.4f})\n\t\t(width 0.25)"
    nearer = pieces(read(f'{TEXT}\n\t(segment\n\t\t{ends}\n\t\t(layer "B.Cu")\n\t\t(net {ground})\n\t)\n'))
    found = least(nearer, of("LINE"), of("CARD"))
    assert found.mm < LINE.barrier.line_to_card
    assert "to GND" in found.where


def line_of(piece: Piece) -> str:
    """The line, 1 to 8, whose pair a piece of copper belongs to; empty for all others."""
    if side(piece) != "LINE":
        return ""
    found = re.search(r"^/(?:TIP|RING|TIP_TEL)(\d)$|^/Line(\d)/", piece.net) or re.match(r"K(\d)()", piece.reference)
    assert found, piece
    return found[1] or found[2]


def nearest(layer: str, line: int) -> float:
    """The distance between a line's copper and that of the following lines, on one layer."""
    copper = [piece for piece in COPPER if piece.copper.layer == layer and line_of(piece)]
    found = least(copper, lambda it: int(line_of(it)) == line, lambda it: int(line_of(it)) > line)
    return found.mm


def test_two_lines_are_as_far_apart_as_is_asked_and_the_pages_say() -> None:
    """Each outer layer is measured separately: between them there is the board."""
    mm = min(nearest(layer, line) for layer in ("F.Cu", "B.Cu") for line in range(1, LINES))
    assert mm >= LINE.barrier.line_to_line
    assert f"come within {mm:.1f} mm of each other on a layer" in (HARDWARE / "README.md").read_text()
    assert f"two lines are {mm:.1f} mm apart" in (HARDWARE / "laboratory.md").read_text()


def test_the_router_takes_a_line_for_the_one_that_it_is() -> None:
    """As measured here by the nets' names; other nets with a line's number belong to the card."""
    for piece in COPPER:
        if line := line_of(piece):
            assert BOARD.line_of(piece.net or piece.reference) == int(line), piece
    assert [BOARD.line_of(name) for name in ("+3V3", "/VM3", "/RELAY1", "K1001", "GND")] == [0, 0, 0, 0, 0]


def test_tracks_of_lines_are_on_the_outer_layers_alone() -> None:
    """Inner layers have only holes and vias, which exist in all layers."""
    lines = [track for track in read(TEXT).tracks if track.layer and WHERE.class_of(BOARD.plain(track.net)) == "LINE"]
    assert {track.layer for track in lines} == {"F.Cu", "B.Cu"}
