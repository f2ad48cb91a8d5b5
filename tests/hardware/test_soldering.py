# SPDX-License-Identifier: Apache-2.0
"""What an oven and an iron need of the card: pads without holes, a divided stencil, bridges to a plane, cans that fit.

The card as laid out has faults, each in a table here and in hardware/README.md; any other fails.
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
from pcb.places import Places
from simulation.netlist import HARDWARE

OURS = footprints.load()
OF_PART = footprints.by_part(OURS)
LINE = places.load()
CARD = cardboard.CardBoard()
WHERE, _ = cardboard.load(LINE)
TEXT = (HARDWARE / f"{cardboard.NAME}.kicad_pcb").read_text()
LINE_TEXT = (HARDWARE / lineboard.NAME / f"{lineboard.NAME}.kicad_pcb").read_text()
HOLE_MM = 0.3  # the smallest of a via
OPEN_HOLES = {  # pads with the hole of a via, which takes the solder
    **{f"F{line}01.1": 1 for line in (1, 2, 3, 5)},
    **{f"F{line}02.2": 1 for line in range(1, 9)},
    "Q1001.5": 1,
    "U1203.12": 1,
    "U1203.18": 1,  # the pad below it
    "U1501.37": 1,  # the hub's only ground
    "U1002.25": 8,
}
OTHER_OPENINGS = {"qfn_24"}  # not KiCad's: they leave room for the holes between them
SHARE = (0.5, 0.7)  # least and greatest part of a large pad that the stencil opens; KiCad's footprints: 0.64 to 0.68
OPEN_BRIDGES = {"J1202.5"}  # feet of the plug, which reach the plane's edge: one bridge each
OPEN_CANS = ["c47u: at most 6.3 mm, on pads for 8"]
# Letters of the case in an order number, least and greatest diameter. Nichicon's by sellers: UWX1C101MCL1GB and
# UCW1C101MCL1GS are 6.3 mm, UWT1A471MNL1GS is 8; United Chemi-Con's by parts lists of evaluation boards.
CANS = (
    (r"U\w\w\d[A-Z]\d{3}MCL", 0.0, 6.3),
    (r"U\w\w\d[A-Z]\d{3}MNL", 8.0, 10.0),
    (r"E\w{3}\d{3}A\w\w\d{3}MHA0", 8.0, 8.0),
)


def holes(board: BoardFile) -> Counter[str]:
    """Number of vias whose hole cuts a pad that has no hole of its own, by pad."""
    vias = [each for each in board.tracks if not each.layer]
    found = Counter[str]()
    for pad in (each for each in board.pads if not each.through):
        across, down = (pad.width + HOLE_MM) / 2, (pad.height + HOLE_MM) / 2
        found[f"{pad.reference}.{pad.number}"] += sum(
            via.net == pad.net and abs(via.x1 - pad.x) < across and abs(via.y1 - pad.y) < down for via in vias
        )
    return +found


def test_the_pads_with_holes_are_known() -> None:
    board = boardfile.read(TEXT)
    assert holes(board) == OPEN_HOLES
    pad = next(each for each in board.pads if each.reference == "C101")
    board.tracks.append(Drawn(pad.net, "", pad.x + pad.width / 2, pad.y, pad.x + pad.width / 2, pad.y, 0.6))
    assert holes(board) == OPEN_HOLES | {f"C101.{pad.number}": 1}


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
        assert name.split()[0] in OPEN_BRIDGES or 2 <= pieces <= 4, name
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


def test_the_cans_on_the_pads_of_another_are_known() -> None:
    kinds = load_kinds()
    numbers = {name: kind.number for name, kind in kinds.items() if name in OF_PART}
    assert ill_fitting(numbers) == OPEN_CANS
    assert ill_fitting({"c220u_35V": "UWT1V101MCL1GS"}) == ["c220u_35V: at most 6.3 mm, on pads for 8"]
    assert not ill_fitting({"c220u_35V": kinds["c220u_35V"].number, "c47u": "UWT1A471MNL1GS"})


@pytest.mark.parametrize("said", ["F101", "Q1001", "U1002", "U1203", "U1501", "C111", "J1202"])
def test_the_page_names_each(said: str) -> None:
    page = (HARDWARE / "README.md").read_text().partition("**For the next layout**")[2].partition("\n**Terminals.**")[0]
    assert re.search(rf"\b{said}\b", page)
