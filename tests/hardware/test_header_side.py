# SPDX-License-Identifier: Apache-2.0
"""Plugs of two rows have odd and even pins on the sides that match the direction of their other half.

References, seen from above: KiCad's own pin header and pin socket; its Raspberry Pi Zero face down on a socket; and a
HAT, with the same socket below, on a Pi.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hardware_rig import copied
from msgspec.structs import replace

from drawing import variants
from drawing.tables import load_kinds
from linetap_core.errors import BadInput
from pcb import boardfile, footprints, librarypads
from simulation.netlist import HARDWARE

OURS = footprints.load()
HEADER, RIBBON = OURS["header_2x20"], OURS["module_2x6"]
FACE_DOWN = "Module/Raspberry_Pi_Zero_Socketed_THT_FaceDown_MountingHoles"
# srobo/kch-hw, pcb/KCH.kicad_pcb at 45758715: KiCad's PinSocket_2x20 on the underside; pads 1 to 3 as in its file. Its
# holes are 58 x 49 mm apart, as in Raspberry Pi's drawing of a HAT (raspberrypi/hats, hat-board-mechanical.pdf).
HAT = {"1": (0.0, 0.0), "2": (-2.54, 0.0), "3": (0.0, -2.54)}
HOLES_APART_MM, TO_THE_MIDDLE_MM = 58.0, 29.0  # same drawing: between the holes at the header, and to its middle


def turn(pads: dict[str, tuple[float, float]]) -> float:
    """Above 0 if 2 is to the right of 1, with 3 below 1, for any rotation of the board."""
    (x1, y1), (x2, y2), (x3, y3) = (pads[number] for number in "123")
    return (x2 - x1) * (y3 - y1) - (y2 - y1) * (x3 - x1)


def spots(pads: list[footprints.Pad]) -> dict[str, tuple[float, float]]:
    return {pad.number: (pad.x, pad.y) for pad in pads}


def noted(name: str) -> dict[str, tuple[float, float]]:
    return spots(librarypads.pads(librarypads.noted()[name]))


def test_it_is_a_socket_for_what_comes_from_above() -> None:
    assert HEADER.mates == "above"
    assert [look.look for look in HEADER.looks()] == ["socket"]
    assert turn(spots(HEADER.numbered())) < 0 < turn(HAT)
    assert turn(spots(HEADER.numbered())) == turn(noted(HEADER.like))
    assert turn(spots(RIBBON.numbered())) == turn(noted(RIBBON.like)) > 0  # pins: a ribbon connects equal positions


def test_the_committed_board_has_it_so() -> None:
    """It is rotated by 90 degrees, on the front, with 40 holes at a pitch of 2.54 mm."""
    file = boardfile.read((HARDWARE / "linetap.kicad_pcb").read_text())
    pads = {pad.number: (pad.x, pad.y) for pad in file.pads if pad.reference == "J1301"}
    assert len(pads) == 40
    assert turn(pads) == pytest.approx(-(2.54**2))


def test_a_pi_face_down_on_a_socket_has_the_same_pads() -> None:
    """It is a Pi: its header's middle is between two holes, as in Raspberry Pi's drawing."""
    path = librarypads.path_of(FACE_DOWN)
    if not path.exists():
        pytest.skip("Debian's kicad-footprints is not installed: no Pi of another's lies on a socket here")
    theirs = spots(librarypads.installed(FACE_DOWN))
    ours = spots(HEADER.numbered())
    assert theirs == {number: pytest.approx(spot, abs=0.01) for number, spot in ours.items()}
    holes = [
        tuple(map(float, fields["at"].split()[:2]))
        for _, form, _, fields in boardfile.pad_fields(path.read_text())
        if form == "np_thru_hole"
    ]
    middle = (ours["1"][0] + ours["40"][0]) / 2, (ours["1"][1] + ours["40"][1]) / 2
    beside = sorted(y for x, y in holes if x == pytest.approx(middle[0]))
    assert beside[1] - beside[0] == pytest.approx(HOLES_APART_MM)
    assert middle[1] - beside[0] == pytest.approx(TO_THE_MIDDLE_MM)


@pytest.mark.parametrize("name", ["header_2x20", "module_2x6"])
def test_the_other_side_is_told(name: str) -> None:
    """A pin header on the socket's pads, a socket on the underside above a Pi, odd and even exchanged."""
    footprint = OURS[name]
    assert footprints.wrong_way(footprint) == ""
    other = {"socket": "pins", "pins": "socket"}
    solids = [re.sub("socket|pins", lambda found: other[found[0]], each) for each in footprint.solids]
    exchanged = [
        re.sub(r"^(\d+) (-?)", lambda found: f"{found[1]} {'' if found[2] else '-'}", each) for each in footprint.pads
    ]
    assert footprints.wrong_way(replace(footprint, solids=solids))
    assert footprints.wrong_way(replace(footprint, mates="below"))
    assert footprints.wrong_way(replace(footprint, pads=exchanged))
    assert not footprints.wrong_way(replace(footprint, solids=solids, mates="below"))


def test_such_a_table_is_refused(tmp_path: Path) -> None:
    change = ("footprints.toml", 'parts = ["pi_header"]\nmates = "above"', 'parts = ["pi_header"]\nmates = "below"')
    with pytest.raises(BadInput, match=r"\[header_2x20\]: socket, the other half from below: 2 has to be to the right"):
        footprints.load(copied(tmp_path, change) / "footprints.toml")


def test_who_assembles_card_1_is_told() -> None:
    """The part is one with a socket, and the drawing's note names side and plug."""
    assert "socket" in load_kinds()["pi_header"].rating
    (note,) = [each for each in variants.load()["card-1"].notes if each.startswith("J1301")]
    assert f"female socket on this side. The cable's plug of pins goes in from {HEADER.mates}, wire 1 to pin 1" in note
