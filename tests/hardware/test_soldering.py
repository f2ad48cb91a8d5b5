# SPDX-License-Identifier: Apache-2.0
"""What an oven and an iron need of the card: pads without holes, a divided stencil, bridges to a plane, cans that fit.

KiCad's design rules know none of this.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from math import hypot

import numpy as np
import pytest

from drawing.tables import load_kinds
from pcb import boardfile, cardboard, footprints, librarypads, lineboard, places
from pcb.boardfile import BoardFile, Drawn, Pad
from pcb.copper import Copper, Points
from pcb.pcb import BRIDGE, MOVED
from pcb.places import Box, Places, on_board
from simulation.netlist import HARDWARE

OURS = footprints.load()
OF_PART = footprints.by_part(OURS)
LINE = places.load()
CARD = cardboard.CardBoard()
WHERE, _ = cardboard.load(LINE)
TEXT = (HARDWARE / f"{cardboard.NAME}.kicad_pcb").read_text()
LINE_TEXT = (HARDWARE / lineboard.NAME / f"{lineboard.NAME}.kicad_pcb").read_text()
HOLE_MM = {each.via: each.drill for each in WHERE.classes.values()}  # by the width of a via's copper
GROUNDED = {"U1501.37": 8, "U1002.25": 6}  # pads below a chip, and the least number of vias in them
OTHER_OPENINGS = {"qfn_24"}  # not KiCad's: they leave room for the holes between them
SHARE = (0.5, 0.7)  # least and greatest part of a large pad that the stencil opens; KiCad's footprints: 0.64 to 0.68
# Letters of the case in an order number, least and greatest diameter. Nichicon's by sellers: UWX1C101MCL1GB and
# UCW1C101MCL1GS are 6.3 mm, UWT1A471MNL1GS is 8; United Chemi-Con's by parts lists of evaluation boards.
CANS = (
    (r"U\w\w\d[A-Z]\d{3}MCL", 0.0, 6.3),
    (r"U\w\w\d[A-Z]\d{3}MNL", 8.0, 10.0),
    (r"E\w{3}\d{3}A\w\w\d{3}MHA0", 8.0, 8.0),
)


def opened(pad: Pad) -> list[tuple[Box, float]]:
    """What the stencil opens of a pad, and the radius of the corners."""
    part = CARD.parts.get(pad.reference)
    rows = OURS[CARD.footprint_of[part.kind_name]].opening_rows() if part else []
    found = []
    for each in rows:
        box = on_board(each, WHERE.place[pad.reference])
        moved = Box(box.left + MOVED, box.top + MOVED, box.right + MOVED, box.bottom + MOVED)
        if off(moved, 0, pad.x, pad.y) < min(pad.width, pad.height) / 2:
            found.append((moved, footprints.corner(each)))
    across, down = pad.width / 2, pad.height / 2
    return found or [(Box(pad.x - across, pad.y - down, pad.x + across, pad.y + down), 0.0)]


def off(box: Box, corner: float, x: float, y: float) -> float:
    """Distance from a rectangle with round corners."""
    across = max(box.left + corner - x, 0, x - box.right + corner)
    down = max(box.top + corner - y, 0, y - box.bottom + corner)
    return max(hypot(across, down) - corner, 0.0)


def holes(board: BoardFile) -> Counter[str]:
    """Number of vias whose hole cuts what the stencil opens of a pad that has no hole of its own, by pad."""
    found = Counter[str]()
    for pad in (each for each in board.pads if not each.through):
        near = max(pad.width, pad.height)
        for via in board.tracks:
            if not via.layer and via.net == pad.net and hypot(via.x1 - pad.x, via.y1 - pad.y) < near:
                cut = any(off(box, corner, via.x1, via.y1) < HOLE_MM[via.width] / 2 for box, corner in opened(pad))
                found[f"{pad.reference}.{pad.number}"] += cut
    return +found


@pytest.mark.parametrize("text", [TEXT, LINE_TEXT])
def test_no_pad_has_an_open_hole(text: str) -> None:
    """The hole of a via would take its solder."""
    board = boardfile.read(text)
    assert not holes(board)
    pad = next(each for each in board.pads if each.reference == "C101")
    board.tracks.append(Drawn(pad.net, "", pad.x + pad.width / 2, pad.y, pad.x + pad.width / 2, pad.y, 0.6))
    assert holes(board) == {f"C101.{pad.number}": 1}


def test_vias_between_the_openings_ground_the_pad_below_a_chip() -> None:
    board = boardfile.read(TEXT)
    pads = {f"{pad.reference}.{pad.number}": pad for pad in board.pads}
    for name, least in GROUNDED.items():
        pad = pads[name]
        whole = Box(pad.x - pad.width / 2, pad.y - pad.height / 2, pad.x + pad.width / 2, pad.y + pad.height / 2)
        within = [each for each in board.tracks if not each.layer and not off(whole, 0, each.x1, each.y1)]
        assert {each.net for each in within} == {"GND"}
        assert len(within) >= least, name


def test_the_stencil_is_divided_where_kicads_is() -> None:
    noted = librarypads.noted_openings()
    for name, each in OURS.items():
        theirs = noted.get(each.like, [])
        if name in OTHER_OPENINGS:
            assert each.openings, name
            assert each.openings != theirs, name
        else:
            assert sorted(each.openings) == sorted(theirs), name


def test_the_stencil_opens_more_than_half_of_a_large_pad_and_not_all() -> None:
    for name, each in OURS.items():
        divided = [pad for pad in each.pad_rows() if not (each.bare or pad.drill or each.pasted(pad))]
        assert len(divided) == bool(each.openings), name
        for pad in divided:
            opened = sum(opening.width * opening.height for opening in each.opening_rows())
            assert SHARE[0] < opened / (pad.width * pad.height) < SHARE[1], name
            for opening in each.opening_rows():
                assert abs(opening.x - pad.x) + opening.width / 2 < pad.width / 2, name
                assert abs(opening.y - pad.y) + opening.height / 2 < pad.height / 2, name


def pasted(text: str) -> dict[str, tuple[list[str], int]]:
    """Of each part on the board, the pads that the stencil opens whole, and the number of other openings."""
    found = {}
    for item, _ in boardfile.items(text):
        if item[1] == "footprint":
            pads = [(number, fields["layers"]) for number, _, _, fields in boardfile.pad_fields(item[0])]
            opened = [(number, ".Cu" in layers) for number, layers in pads if "F.Paste" in layers]
            reference = boardfile.REFERENCE.findall(item[0])[0]
            found[reference] = (
                sorted(number for number, copper in opened if copper),
                [copper for _, copper in opened].count(False),
            )
    return found


def test_the_card_has_that_stencil() -> None:
    on_card = pasted(TEXT)
    for reference, part in CARD.parts.items():
        footprint = OURS[CARD.footprint_of[part.kind_name]]
        whole = sorted(pad.number for pad in footprint.pad_rows() if footprint.pasted(pad))
        assert on_card[reference] == (whole, len(footprint.openings)), reference
    assert {each for each, (_, openings) in on_card.items() if openings} == {"U1002", "U1203", "U1501", "Q1001"}


def around(pad: Pad, far: float) -> Points:
    """Points at this distance from an oval pad, around it."""
    radius, half = min(pad.width, pad.height) / 2, abs(pad.width - pad.height) / 2
    turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    across, down = (radius + far) * np.cos(turn), (radius + far) * np.sin(turn)
    if pad.width > pad.height:
        across = across + np.sign(across) * half
    else:
        down = down + np.sign(down) * half
    spots: Points = np.stack([pad.x + across, pad.y + down], axis=1)
    return spots


def bridges(board: BoardFile, where: Places) -> dict[str, tuple[int, float]]:
    """Of each pin in a hole of a plane, the number of pieces of copper that join it, and their width together."""
    found = {}
    for plane in where.planes:
        pieces = [area.outline for area in board.areas if (area.net, area.layer) == (plane.net, plane.layer)]
        copper = Copper(plane.layer, max(pieces, key=len))  # an islet between two pins joins neither to the plane
        for pad in board.pads:
            inside = any(
                left < pad.x - MOVED < right and top < pad.y - MOVED < bottom
                for left, top, right, bottom in plane.rectangles()
            )
            if pad.through and pad.net == plane.net and inside:
                spots = around(pad, 0.15)
                covered = [copper.covers(each) for each in spots]
                begun = sum(now and not before for before, now in pairwise([covered[-1], *covered]))
                wide = sum(
                    hypot(*(b - a)) for (a, b), on in zip(pairwise([*spots, spots[0]]), covered, strict=True) if on
                )
                found[f"{pad.reference}.{pad.number} at {pad.x:.2f} {pad.y:.2f}"] = begun, wide
    return found


@pytest.mark.parametrize(("text", "where", "least"), [(TEXT, WHERE, 40), (LINE_TEXT, LINE, 2)])
def test_bridges_join_each_pin_to_its_plane(text: str, where: Places, least: int) -> None:
    """A hand's iron heats the pin, not the plane (IPC-2222, 9.1.3)."""
    found = bridges(boardfile.read(text), where)
    assert len(found) >= least
    for name, (pieces, wide) in found.items():
        assert 2 <= pieces <= 4, name
        assert wide < pieces * (BRIDGE + 0.15), name


def ill_fitting(numbers: dict[str, str]) -> list[str]:
    """Kinds whose order number names a can of another diameter than their pads'."""
    found = []
    for name, number in numbers.items():
        for across in re.findall(r"CP_Elec_([\d.]+)x", OURS[OF_PART[name]].like):
            for scheme, least, most in CANS:
                if re.match(scheme, number) and not least <= float(across) <= most:
                    found.append(f"{name}: at most {most:g} mm, on pads for {across}")
    return found


def test_no_can_is_on_the_pads_of_another() -> None:
    kinds = load_kinds()
    numbers = {name: kind.number for name, kind in kinds.items() if name in OF_PART}
    assert not ill_fitting(numbers)
    assert ill_fitting({"c220u_35V": "UWT1V101MCL1GS"}) == ["c220u_35V: at most 6.3 mm, on pads for 8"]
    assert not ill_fitting({"c220u_35V": kinds["c220u_35V"].number, "c47u": kinds["c47u"].number})
    assert ill_fitting({"c47u": "UWT1A471MNL1GS"}) == ["c47u: at most 10 mm, on pads for 6.3"]
