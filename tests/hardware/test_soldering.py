# SPDX-License-Identifier: Apache-2.0
"""What an oven needs of the card: pads without holes, a stencil with windows, and a can on the pads of its case.

The card as laid out has faults, each in a table here and in hardware/README.md; any other fails.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from drawing.tables import load_kinds
from pcb import boardfile, footprints, librarypads
from pcb.boardfile import BoardFile, Drawn
from pcb.cardboard import NAME
from simulation.netlist import HARDWARE

OURS = footprints.load()
OF_PART = footprints.by_part(OURS)
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
OPEN_STENCIL = {"qfn_24", "qfn_36", "htssop_28", "powerpak_so8l"}  # paste on the whole pad below the chip
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
    board = boardfile.read((HARDWARE / f"{NAME}.kicad_pcb").read_text())
    assert holes(board) == OPEN_HOLES
    pad = next(each for each in board.pads if each.reference == "C101")
    board.tracks.append(Drawn(pad.net, "", pad.x + pad.width / 2, pad.y, pad.x + pad.width / 2, pad.y, 0.6))
    assert holes(board) == OPEN_HOLES | {f"C101.{pad.number}": 1}


def windows(name: str) -> bool:
    """Whether KiCad's own footprint has openings for paste apart from its pads."""
    path = librarypads.path_of(name)
    if not path.exists():
        pytest.skip("Debian's kicad-footprints is not installed")
    pads = boardfile.pad_fields(path.read_text())
    return any("Paste" in fields["layers"] and ".Cu" not in fields["layers"] for _, _, _, fields in pads)


def test_the_pads_whose_paste_kicad_divides_are_known() -> None:
    assert {name for name, each in OURS.items() if each.like and windows(each.like)} == OPEN_STENCIL


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


@pytest.mark.parametrize("said", ["F101", "Q1001", "U1002", "U1203", "U1501", "C111"])
def test_the_page_names_each(said: str) -> None:
    page = (HARDWARE / "README.md").read_text().partition("**For the next layout**")[2].partition("\n**Terminals.**")[0]
    assert re.search(rf"\b{said}\b", page)
