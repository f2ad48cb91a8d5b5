# SPDX-License-Identifier: Apache-2.0
"""Reading a board's file, and the tracks with which the next layout begins."""

from __future__ import annotations

import pytest

from linetap_core.errors import BadInput
from pcb import earlier, places
from pcb.boardfile import Drawn, Pad, read
from pcb.lineboard import NAME, LineBoard
from pcb.pcb import MOVED
from pcb.routing import BACK, BOTH, FRONT, Track
from simulation.netlist import HARDWARE

BOARD, WHERE = LineBoard(), places.load()
TEXT = (HARDWARE / NAME / f"{NAME}.kicad_pcb").read_text()

# As written by KiCad 9.0.2: a rotated part, a track, a via, and a plane in two pieces.
WRITTEN = """(kicad_pcb
	(version 20241229)
	(net 0 "")
	(net 1 "GND")
	(net 513 "/supply/gate")
	(footprint "linetap:rt2"
		(layer "F.Cu")
		(uuid "00073279-e69f-5160-8684-845e640e2dc4")
		(at 54.5 34 -90)
		(property "Reference" "K1"
			(at 0 0 270)
		)
		(pad "" np_thru_hole circle
			(at 3 3 270)
			(size 1 1)
			(drill 1)
			(layers "*.Cu" "*.Mask")
		)
		(pad "A1" thru_hole oval
			(at -0.8 0 270)
			(size 0.85 0.95)
			(drill 0.4)
			(layers "*.Cu" "*.Mask")
			(net 513 "/supply/gate")
			(uuid "dd32d154-cd20-5876-bd0d-2bc4c942949c")
		)
		(pad "2" smd rect
			(at 0.8 1 270)
			(size 0.85 0.95)
			(layers "F.Cu" "F.Mask" "F.Paste")
		)
		(embedded_fonts no)
	)
	(segment
		(start 229 183.2)
		(end 229 -183.9)
		(width 0.2)
		(layer "B.Cu")
		(net 1)
		(uuid "0009c7b4-2ade-548a-b033-8cbdb9e6891e")
	)
	(via
		(at 230 47.6)
		(size 0.6)
		(drill 0.3)
		(layers "F.Cu" "B.Cu")
		(net 513)
		(uuid "01feecd5-2883-5f54-8ad6-d2589acd7a3e")
	)
	(zone
		(net 1)
		(net_name "GND")
		(layer "In1.Cu")
		(filled_polygon
			(layer "In1.Cu")
			(pts
				(xy 0 0) (xy 1.5 0) (xy 1.5 -2)
			)
		)
		(filled_polygon
			(layer "In1.Cu")
			(island)
			(pts
				(xy 5 5) (xy 6 5)
				(xy 6 6) (xy 5 6)
			)
		)
	)
)
"""


def test_a_part_turned_a_track_a_via_and_a_plane() -> None:
    board = read(WRITTEN)
    assert board.parts == ["K1"]
    assert [pad._replace(x=round(pad.x, 6), y=round(pad.y, 6)) for pad in board.pads] == [
        Pad("K1", "A1", "/supply/gate", 54.5, 33.2, 0.95, 0.85, circle=False, through=True),
        Pad("K1", "2", "", 53.5, 34.8, 0.95, 0.85, circle=False, through=False),
    ]
    assert board.tracks == [
        Drawn("GND", "B.Cu", 229, 183.2, 229, -183.9, 0.2),
        Drawn("/supply/gate", "", 230, 47.6, 230, 47.6, 0.6),
    ]
    assert [(area.net, area.layer, area.outline.tolist()) for area in board.areas] == [
        ("GND", "In1.Cu", [[0, 0], [1.5, 0], [1.5, -2]]),
        ("GND", "In1.Cu", [[5, 5], [6, 5], [6, 6], [5, 6]]),
    ]


def test_no_board_has_no_copper() -> None:
    board = read("")
    assert [board.parts, board.tracks, board.pads, board.areas] == [[], [], [], []]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\n\t(via\n", "\n(via\n", r"0 of 1 \(via stand where KiCad 9 writes them"),
        ("\t\t(end 229 -183.9)\n", "", r"not as KiCad 9 writes it: \(segment \(start 229 183\.2\) \(width"),
        ("(start 229 183.2)", "(start 229 north)", r"\(segment \(start 229 north\)"),
        ("\t\t(net 1)\n\t\t(uuid", "\t\t(net 2)\n\t\t(uuid", r"\(segment .*"),
        ("(segment\n", "(arc\n\t\t(mid 1 1)\n", r"\(arc \(mid 1 1\)"),
        ("(xy 6 5)\n", "(xy 6 east)\n", r"\(zone \(net 1\)"),
        ('"Reference"', '"Value"', r'\(footprint "linetap:rt2"'),
        ("(size 0.85 0.95)\n\t\t\t(drill", "(drill", r'\(footprint "linetap:rt2"'),
    ],
)
def test_what_cannot_be_read_is_named(old: str, new: str, said: str) -> None:
    assert old in WRITTEN
    with pytest.raises(BadInput, match=f"^board file: .*{said}"):
        read(WRITTEN.replace(old, new, 1))


def test_the_next_layout_begins_with_every_track_that_leads_somewhere() -> None:
    """Three added tracks lead nowhere, the second one only after the first is gone."""
    file = read(TEXT)
    found = earlier.tracks(file, BOARD.nets, [])
    assert len(found) == len(file.tracks) > 500
    assert {track.layers for track in found} == {FRONT, BACK, BOTH}
    at = next(track for track in found if track.layers == FRONT)
    ends = [(1, 1, 2, 1), (at.x1, at.y1, 1, 1)]
    lost = [*(Track(at.net, FRONT, *each) for each in ends), Track(at.net, BOTH, 3, 9, 3, 9)]
    kept = earlier.led_somewhere([*found, *lost], [], BOARD, WHERE)
    assert sorted(kept, key=repr) == sorted(found, key=repr)


def test_a_track_is_held_by_what_lies_beside() -> None:
    net = next(iter(BOARD.nets))
    loose, beside = Track(net, FRONT, 1, 1, 2, 1), [Track(net, BOTH, 1, 1, 1, 1), Track(net, FRONT, 2, 1.1, 9, 1.1)]
    assert earlier.led_somewhere([loose], beside, BOARD, WHERE) == [loose]
    assert earlier.led_somewhere([loose], [*beside[:1], Track(net, BACK, 2, 1, 9, 1)], BOARD, WHERE) == []


def test_tracks_that_lie_there_already_or_have_no_net_are_left_out() -> None:
    file = read(TEXT)
    first = file.tracks[0]
    laid = earlier.tracks(file, BOARD.nets, [])[0]
    assert (laid.x1, laid.y1) == (first.x1 - MOVED, first.y1 - MOVED)
    assert len(earlier.tracks(file, BOARD.nets, [laid])) < len(file.tracks)
    assert earlier.tracks(file, [net for net in BOARD.nets if net != first.net], [])[0].net != first.net


def test_a_track_of_an_inner_layer_is_refused() -> None:
    file = read(WRITTEN.replace('"B.Cu")\n\t\t(net 1)', '"In2.Cu")\n\t\t(net 1)'))
    with pytest.raises(BadInput, match=r"a track of GND is on In2\.Cu: the router has F\.Cu and B\.Cu"):
        earlier.tracks(file, ["GND"], [])
