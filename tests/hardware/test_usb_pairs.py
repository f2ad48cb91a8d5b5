# SPDX-License-Identifier: Apache-2.0
"""The USB pairs of the card: both tracks of equal length, and near to 90 ohm with the layers of the board's file."""

from __future__ import annotations

import re
from dataclasses import replace
from math import exp, log, sqrt

import pytest

from pcb import stackup, usbpairs
from pcb.boardfile import BoardFile, Drawn, Pad, read
from pcb.cardboard import NAME
from pcb.stackup import LAYERS, VIA_MM
from simulation.netlist import HARDWARE

FILE = read((HARDWARE / f"{NAME}.kicad_pcb").read_text())
PAIRS = usbpairs.measured(FILE)
PAGE = (HARDWARE / "README.md").read_text()
LAYER = re.compile(r'\n\t\t\t\(layer "(.+?)"\n(.*?)\n\t\t\t\)', re.DOTALL)


@pytest.mark.parametrize("found", PAIRS, ids=lambda found: found.pair.plus)
def test_a_pair_is_matched_near_to_90_ohm_and_beside_a_plane(found: usbpairs.Measured) -> None:
    """The only gaps in the plane are its holes around vias and pads."""
    assert found.matched(), found.said()
    assert found.within(), found.said()
    assert found.bare_mm < 2


def test_each_pair_of_the_card_is_measured_from_the_hub() -> None:
    named = {each for pair in usbpairs.PAIRS for each in (pair.plus, pair.minus)}
    on_card = {pad.net for pad in FILE.pads if re.fullmatch(r"/(usb/)?\w*D[PM]", pad.net, re.IGNORECASE)}
    assert named == on_card


@pytest.mark.parametrize("file", [f"{NAME}.kicad_pcb", "lineboard/lineboard.kicad_pcb"])
def test_the_boards_file_has_the_layers(file: str) -> None:
    text = (HARDWARE / file).read_text()
    stack = text.partition("(stackup")[2].partition("(copper_finish")[0]
    found = [
        (name, *map(float, re.findall(r"\((?:thickness|epsilon_r) (.+?)\)", body)))
        for name, body in LAYER.findall(stack)
    ]
    wanted = [(each.name, each.mm, *([each.permittivity] if each.permittivity else [])) for each in LAYERS]
    assert found == wanted, "./build.sh board"
    assert f"(thickness {stackup.THICK_MM:g})" in text


def test_the_page_has_the_figures() -> None:
    for each in PAIRS:
        assert f"# USB, {each.said()}" in PAGE


def test_another_formula_gives_as_much() -> None:
    """IPC-2141's own formula for a single track, valid up to twice its height, as ours is: a tenth less."""
    width, prepreg = 0.2, stackup.PREPREG
    single = 87 / sqrt(prepreg.permittivity + 1.41) * log(5.98 * prepreg.mm / (0.8 * width + 0.035))
    for gap in (0.25, 5.0):
        theirs = 2 * single * (1 - 0.48 * exp(-0.96 * gap / prepreg.mm))
        assert 0.85 * usbpairs.OHM < theirs < stackup.pair_ohm(width, gap) < theirs * 1.125


def test_on_the_usual_prepreg_the_pairs_would_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """7628: 0.2104 mm, 4.4 (JLC04161H-7628)."""
    monkeypatch.setattr(stackup, "PREPREG", stackup.PREPREG._replace(mm=0.2104, permittivity=4.4))
    assert not any(each.within() for each in usbpairs.measured(FILE))


def pad(number: str, x: float, y: float) -> Pad:
    return Pad("U1", number, "n", x, y, 1.0, 1.0, circle=False, through=False)


def drawn(layer: str, x1: float, y1: float, x2: float, y2: float) -> Drawn:
    return Drawn("n", layer, x1, y1, x2, y2, 0.2)


def test_a_way_goes_round_through_vias_and_meets_tracks_in_their_middle() -> None:
    """6 mm on the front, a via, 3 mm on the back, a via, and 2 mm from its place on a track."""
    tracks = [
        drawn("F.Cu", 0, 0, 6, 0), drawn("", 6, 0, 6, 0), drawn("B.Cu", 6, 0, 6, 3), drawn("", 6, 3, 6, 3),
        drawn("F.Cu", 4, 3, 8, 3), drawn("F.Cu", 0, 0, 0, 9),
    ]  # fmt: skip
    found = usbpairs.way(tracks, pad("1", 0, 0), pad("2", 8, 3))
    assert usbpairs.long(found) == pytest.approx(6 + 3 + 2 + 2 * VIA_MM)
    with pytest.raises(LookupError, match="no copper from U1 to U1 on n"):
        usbpairs.way([each for each in tracks if each.layer], pad("1", 0, 0), pad("2", 8, 3))


def test_a_pair_that_is_not_matched_is_told() -> None:
    assert not replace(PAIRS[0], minus_mm=PAIRS[0].plus_mm - 4).matched()
    assert not replace(PAIRS[0], ohm=(76, 90)).within()
    cut = BoardFile(FILE.parts, [each for each in FILE.tracks if each.net != "/METER_DP"], FILE.pads, FILE.areas)
    with pytest.raises(LookupError, match="no copper from U1501 to U1101 on /METER_DP"):
        usbpairs.measured(cut)


def test_two_tracks_side_by_side_lower_each_other() -> None:
    """0.2 mm apart as calculated by hand, and far apart twice the single one."""
    assert stackup.pair_ohm(0.2, 10) == pytest.approx(2 * stackup.single_ohm(0.2), abs=0.01)
    assert stackup.pair_ohm(0.2, 0.2) == pytest.approx(2 * stackup.single_ohm(0.2) * 0.9304, rel=0.001)
