# SPDX-License-Identifier: Apache-2.0
"""Every footprint has the pads of KiCad's own for the part or its case, by the noted coordinates."""

from __future__ import annotations

import msgspec
import pytest
from pad_rig import PITCH_MM, covered, differences

from drawing.tables import load_kinds
from pcb import footprints, librarypads
from pcb.lineboard import LineBoard

OURS, NOTED = footprints.load(), librarypads.noted()
LIKE = sorted(name for name, each in OURS.items() if each.like)
HOLES = {"wires_16", "fiducial"}  # for wires, and a mark: no part is soldered there
# CadSoft's library con-phoenix-508, after the maker's sheets: order number -> positions of its pads; all holes are
# equal.
CADSOFT = {"1729128": [-2.5611, 2.5189], "1729131": [-7.6411, -2.5611, 2.5189]}
CADSOFT_HOLE_MM = 1.3


@pytest.mark.parametrize("name", LIKE)
def test_a_footprint_is_that_of_kicads_library(name: str) -> None:
    assert differences(OURS[name], librarypads.pads(NOTED[OURS[name].like])) == []


def test_a_fuse_lies_on_the_pads_of_another_makers_of_its_size() -> None:
    """No drawing of the series 461 was found; 10 x 3 mm are the case's."""
    (name,) = OURS.keys() - set(LIKE) - HOLES
    pairs = zip(OURS[name].numbered(), librarypads.pads(NOTED[OURS[name].cover]), strict=True)
    assert [(pad.number, covered(pad, theirs) >= 0.9) for pad, theirs in pairs] == [("1", True), ("2", True)]


def test_the_screw_terminals_are_those_of_their_order_numbers() -> None:
    on_line_board = {part.kind_name: part.kind for part in LineBoard().parts.values()}
    kinds = {"terminal2": load_kinds()["terminal2"], "terminal3": on_line_board["terminal3"]}
    assert {kind.number for kind in kinds.values()} == CADSOFT.keys()
    for name, kind in kinds.items():
        pads, theirs = OURS[footprints.by_part(OURS)[name]].numbered(), CADSOFT[kind.number]
        assert {pad.drill for pad in pads} == {CADSOFT_HOLE_MM}
        along = [pad.x + pad.y - pads[0].x - pads[0].y for pad in pads]
        assert along == pytest.approx([each - theirs[0] for each in theirs], abs=PITCH_MM)


@pytest.mark.parametrize("name", sorted(NOTED))
def test_what_is_noted_is_what_the_library_has(name: str) -> None:
    if not librarypads.path_of(name).exists():
        pytest.skip("Debian's kicad-footprints is not installed: the noted pads are not compared with it")
    assert librarypads.rows(librarypads.installed(name)) == NOTED[name], "tools/kicad_pads.py"


def test_each_footprint_that_is_named_is_noted() -> None:
    assert NOTED.keys() == footprints.compared(OURS)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("soic_8", "-1.905 0 1.27", "-1.905 0 1.24", "pitch of a row: 1.240 here, 1.270 there"),
        ("soic_8", "1..4", "5..8", "pad 5: they have none like it"),
        ("chip_0603", "0.85 0.95", "1.05 0.95", "pad 1: they have none like it"),
        ("rt2", "15.26 0 2 3 1.3", "15.26 0 2 3 1.0", "pad 12: they have none like it"),
        ("terminal_5mm08", "3 0 10.16", "3 0 10.0", "pad 3: they have none like it"),
    ],
)
def test_a_pad_that_is_wrong_is_told(name: str, old: str, new: str, said: str) -> None:
    changed = [row.replace(old, new) for row in OURS[name].pads]
    assert changed != OURS[name].pads
    wrong = msgspec.structs.replace(OURS[name], pads=changed)
    assert said in differences(wrong, librarypads.pads(NOTED[OURS[name].like]))
