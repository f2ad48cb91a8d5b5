# SPDX-License-Identifier: Apache-2.0
"""The board of one line has the parts and nets of its sheet, and its copper separates the pair from the card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hardware_rig import on_copper

from linetap_core.errors import BadInput, Refusal
from pcb import footprints, places, routing
from pcb.boardfile import read
from pcb.copper import apart
from pcb.lineboard import NAME, LineBoard
from simulation.netlist import HARDWARE

BOARD = LineBoard()
WHERE = places.load()
FOLDER = HARDWARE / NAME
ACROSS = ("hv_4M99", "transformer")  # the ends of the pair; a relay's coil is another
CLASS_OF_TWO = ["0.1 0.3 0.2", "0 0", "0 0"]  # half width, via, distance; of each net its class and line


@pytest.mark.parametrize("name", sorted(BOARD.files(WHERE)))
def test_what_is_committed_is_what_the_tables_say(name: str) -> None:
    assert (FOLDER / name).read_text() == BOARD.files(WHERE)[name], "./build.sh board"


def test_the_board_has_the_nets_of_the_sheet() -> None:
    """Without KiCad: each part is on it once, and each of its pads on its net."""
    parts, nets = on_copper(read((FOLDER / f"{NAME}.kicad_pcb").read_text()))
    assert parts == sorted(BOARD.parts)
    assert nets == {net: sorted(nodes) for net, nodes in BOARD.nets.items()}, "./build.sh board"


def test_every_pin_has_a_pad() -> None:
    for part in BOARD.parts.values():
        pads = {pad.number for pad in BOARD.footprints[BOARD.footprint_of[part.kind_name]].pad_rows()}
        assert {pin.number for pin in part.kind.pin_rows()} <= pads, part.kind_name


def test_the_class_of_the_pair_is_all_that_the_pair_reaches() -> None:
    """It extends through every part except insulating ones, and through a relay's contacts but not to its coil."""
    reached, before = {"TIP", "RING", "TIP_TEL"}, 0
    while before < len(reached):
        before = len(reached)
        for part in BOARD.parts.values():
            if part.kind_name in ACROSS or part.prefix == "J":
                continue
            nets = {net for pin, net in part.nets.items() if pin not in ("c1", "c2")}
            if nets & reached:
                reached |= nets
        for part in BOARD.parts.values():  # one winding of a transformer is the pair's, the other the card's
            if part.kind_name == "transformer" and {part.nets["p1"], part.nets["p2"]} & reached:
                reached |= {part.nets["p1"], part.nets["p2"]}
    assert reached == set(WHERE.classes["LINE"].nets)


def test_a_part_without_footprint_or_place_is_named(tmp_path: Path) -> None:
    text = (HARDWARE / "circuit" / "footprints.toml").read_text()
    (tmp_path / "f.toml").write_text(text.replace('"1 -0.8 0 0.85 0.95"', '"1 -0.8 0 wide"'))
    with pytest.raises(BadInput, match=r"'1 -0\.8 0 wide' is not: number x y width height"):
        footprints.load(tmp_path / "f.toml")["chip_0603"].pad_rows()
    text = (HARDWARE / "circuit" / "places.toml").read_text()
    (tmp_path / "p.toml").write_text(text.replace("U101 = [71, 7, 0]", "U101 = [171, 7, 0]"))
    with pytest.raises(BadInput, match=r"U101: \(171, 7\) is not on the board"):
        places.load(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_text(text.replace("U101 = [71, 7, 0]\n", ""))
    with pytest.raises(BadInput, match=r"places\.toml: no place for U101"):
        places.load(tmp_path / "p.toml").complete(BOARD.parts)


def test_the_router_counts_what_it_leaves_open(tmp_path: Path) -> None:
    """A net of three pads, one of them enclosed by another net's pads."""
    program = routing.built(tmp_path)
    wall = ["1 0 0 9 9 15 10 3", "1 0 0 9 14 15 15 3", "1 0 0 9 9 10 15 3", "1 0 0 14 9 15 15 3"]
    pads = ["0 0 0 2 2 3 3 1", "0 0 0 20 2 21 3 1", "0 0 0 11.5 11.5 12.5 12.5 1", *wall]
    head = [f"24 24 0 1 2 {len(pads)} 0 0 0 0", *CLASS_OF_TWO]
    tracks, missing = routing.answered(program, "\n".join([*head, *pads]) + "\n", ["a", "b"])
    assert missing == 1
    assert any(track.net == "a" for track in tracks)
    with pytest.raises(Refusal, match="the input ends too soon"):
        routing.answered(program, "24 24\n", ["a"])


def test_the_router_takes_up_what_is_in_the_way(tmp_path: Path) -> None:
    """The short net is routed first, straight through the only gap; the other one's pads are only on the front."""
    program = routing.built(tmp_path)
    wall = ["-1 0 0 9.5 0.5 10.5 8 3", "-1 0 0 9.5 9.2 10.5 19.5 3"]
    pads = ["0 0 0 8 8.1 8.8 9.1 1", "0 0 0 11.2 8.1 12 9.1 1", "1 0 0 2 2 3 3 1", "1 0 0 17 2 18 3 1", *wall]
    head = [f"20 20 0 1 2 {len(pads)} 0 0 0 0", *CLASS_OF_TWO]
    tracks, missing = routing.answered(program, "\n".join([*head, *pads]) + "\n", ["a", "b"])
    assert missing == 0
    assert {track.net for track in tracks} == {"a", "b"}


def test_tracks_that_are_given_are_kept_and_not_found_again(tmp_path: Path) -> None:
    """Two pads are already joined; a third is joined to them, and a via to the plane beside it."""
    program = routing.built(tmp_path)
    pads = ["0 0 0 2 2 3 3 1", "0 0 0 10 2 11 3 1", "0 0 0 2 8 3 9 1", "1 0 0 10 8 11 9 1"]
    head = [f"20 20 0 1 2 {len(pads)} 1 0 1 0", *CLASS_OF_TWO]
    rest = ["0 1 2.5 2.5 10.5 2.5", "1 8 6 18 18"]
    tracks, missing = routing.answered(program, "\n".join([*head, *pads, *rest]) + "\n", ["a", "b"])
    assert missing == 0
    assert not [track for track in tracks if track.net == "a" and track.y1 == track.y2 == 2.5]
    assert [track for track in tracks if track.net == "b" and track.layers == routing.BOTH]


@pytest.mark.parametrize("earlier", [[], ["0 3 6 6 6 6"]])
def test_the_router_puts_no_via_into_a_pad(tmp_path: Path, earlier: list[str]) -> None:
    """A pad of 4 x 4 mm above its plane: the hole would take its solder. One of an earlier layout is taken up."""
    program = routing.built(tmp_path)
    pads = ["0 0 0 4 4 8 8 1", "1 0 0 12 12 13 13 1"]
    head = [f"20 20 0 1 2 {len(pads)} 0 {len(earlier)} 1 0", *CLASS_OF_TWO]
    tracks, missing = routing.answered(program, "\n".join([*head, *pads, *earlier, "0 1 1 18 18"]) + "\n", ["a", "b"])
    assert missing == 0
    (via,) = [each for each in tracks if each.layers == routing.BOTH]
    off = max(4 - via.x1, via.x1 - 8, 4 - via.y1, via.y1 - 8)
    assert off >= 0.3 + 0.1 - 1e-6


@pytest.mark.parametrize(("lines", "asked"), [(("1", "2"), 1.6), (("1", "1"), 0.2), (("0", "0"), 0.2)])
def test_the_router_keeps_two_lines_apart_on_a_layer(tmp_path: Path, lines: tuple[str, str], asked: float) -> None:
    """Side by side through a gap of 3 mm; the second has to cross the first, a given track, on the back."""
    program = routing.built(tmp_path)
    of_a, of_b = lines
    wall = ["-1 0 0 9 0.5 10 8 3", "-1 0 0 9 11 10 19.5 3"]
    pads = [
        f"0 0 {of_a} 2 9 3 10 1",
        f"0 0 {of_a} 16 9 17 10 1",
        f"1 0 {of_b} 2 4 3 5 1",
        f"1 0 {of_b} 16 14 17 15 1",
        *wall,
    ]
    head = [f"20 20 1.6 1 2 {len(pads)} 1 0 0 0", "0.1 0.3 0.2", f"0 {of_a}", f"0 {of_b}"]
    given = routing.Track("a", routing.FRONT, 2.5, 9.5, 16.5, 9.5)
    tracks, missing = routing.answered(program, "\n".join([*head, *pads, "0 1 2.5 9.5 16.5 9.5"]) + "\n", ["a", "b"])
    assert missing == 0
    found = [_away(given, track) for track in tracks if track.layers & routing.FRONT]
    assert min(found) >= asked
    assert asked == 1.6 or min(found) < 1.6
    assert [track for track in tracks if track.layers == routing.BACK]


def _away(one: routing.Track, other: routing.Track) -> float:
    """The distance between their edges; a track's is a tenth from its middle, a via's three."""
    ends = np.array([[one.x1, one.y1], [one.x2, one.y2]]), np.array([[other.x1, other.y1], [other.x2, other.y2]])
    radius = 0.3 if other.layers == routing.BOTH else 0.1
    begin, end = ends[0]
    return float(apart(begin, end, ends[1][:1], ends[1][1:])[0]) - 0.1 - radius


def test_a_plane_with_a_notch_is_the_rectangles_it_has() -> None:
    corners = [(2.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0), (0.0, 4.0), (2.0, 4.0)]
    plane = places.Plane(net="GND", layer="In1.Cu", outline=corners)
    assert plane.rectangles() == [(2.0, 0.0, 9.0, 4.0), (0.0, 4.0, 9.0, 9.0)]
