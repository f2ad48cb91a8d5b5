# SPDX-License-Identifier: Apache-2.0
"""The whole card's board has all parts and nets of the drawing, and eight equal lines."""

from __future__ import annotations

from math import dist, hypot
from pathlib import Path

import pytest
from hardware_rig import on_copper

from drawing.project import LINES
from linetap_core.errors import BadInput
from pcb import cardboard, places, routing, windows
from pcb.boardfile import read
from pcb.cardboard import NAME, CardBoard
from pcb.pcb import MOVED
from pcb.places import Box
from simulation.netlist import HARDWARE

Piece = tuple[str, str, tuple[tuple[float, float], ...]]  # net, layer, ends
BOARD, LINE = CardBoard(), places.load()
WHERE, BLOCKS = cardboard.load(LINE)
MARKS = [f"FID{i}" for i in range(1, len(WHERE.fiducials) + 1)]
FILE = read((HARDWARE / f"{NAME}.kicad_pcb").read_text())


@pytest.mark.parametrize("name", sorted(BOARD.files(WHERE)))
def test_what_is_committed_is_what_the_tables_say(name: str) -> None:
    assert (HARDWARE / name).read_text() == BOARD.files(WHERE)[name], "./build.sh board"


def test_the_board_has_the_nets_of_the_drawing() -> None:
    """Without KiCad: each part is on it once, and each of its pads on its net."""
    parts, nets = on_copper(FILE)
    assert parts == sorted([*BOARD.parts, *MARKS])
    assert nets == {net: sorted(nodes) for net, nodes in BOARD.nets.items()}, "./build.sh board"


def test_a_placing_machine_finds_three_marks_far_from_the_lines() -> None:
    """1 mm of bare copper on no net, 2 mm without mask, no paste; each rotation of the board looks different."""
    marks = sorted(pad for pad in FILE.pads if pad.reference in MARKS)
    assert [(pad.width, pad.height, pad.circle, pad.through, pad.net) for pad in marks] == [(1, 1, True, False, "")] * 3
    (mark,) = (HARDWARE / "linetap.pretty" / "fiducial.kicad_mod").read_text().split("(pad")[1:]
    assert "(solder_mask_margin 0.5)" in mark
    assert '(layers "F.Cu" "F.Mask")' in mark
    spots = [(pad.x - MOVED, pad.y - MOVED) for pad in marks]
    assert spots == WHERE.fiducials
    turned = [(WHERE.width - x, WHERE.height - y) for x, y in spots]
    assert min(dist(one, other) for one in spots for other in turned) > 5
    assert all(5 <= x <= WHERE.width - 5 and 5 <= y <= WHERE.height - 5 for x, y in spots)
    for net, box in windows.boxes(FILE):
        far = 10 if net and WHERE.class_of(BOARD.plain(net)) != "CARD" else 1.2
        for pad in marks:
            across = max(box.left - pad.x, 0, pad.x - box.right)
            down = max(box.top - pad.y, 0, pad.y - box.bottom)
            assert hypot(across, down) >= far or box == Box(pad.x - 0.5, pad.y - 0.5, pad.x + 0.5, pad.y + 0.5), net


def test_every_part_lies_where_the_table_says_and_every_pin_has_a_pad() -> None:
    WHERE.complete(BOARD.parts)
    for part in BOARD.parts.values():
        pads = {pad.number for pad in BOARD.footprints[BOARD.footprint_of[part.kind_name]].pad_rows()}
        assert {pin.number for pin in part.kind.pin_rows()} <= pads, part.kind_name


def test_eight_lines_have_one_copper() -> None:
    """Every track and via of line 1 exists for each other line, moved or rotated."""
    one = _tracks(1)
    assert len(one) > 300
    for block in BLOCKS[1:]:
        there = set(_tracks(block.line))
        for net, layer, ends in one:
            moved = tuple(_moved(*spot, BLOCKS[0], block) for spot in ends)
            assert there & {(net, layer, moved), (net, layer, moved[::-1])}, f"line {block.line}: {net} {moved}"


def _tracks(line: int) -> list[Piece]:
    """The tracks of nets that belong only to this line; a via has one spot."""
    own = f"/Line{line}/"
    found: list[Piece] = []
    for each in FILE.tracks:
        if each.net.startswith(own):
            ends = ((round(each.x1, 3), round(each.y1, 3)), (round(each.x2, 3), round(each.y2, 3)))
            found.append((each.net.removeprefix(own), each.layer, ends if each.layer else ends[:1]))
    return found


def _moved(x: float, y: float, one: cardboard.Block, other: cardboard.Block) -> tuple[float, float]:
    x, y = x - MOVED, y - MOVED
    plain = (one.x + LINE.width - x, one.y + LINE.height - y) if one.turned else (x - one.x, y - one.y)
    moved = other.spot(*plain, LINE)
    return round(moved[0] + MOVED, 3), round(moved[1] + MOVED, 3)


def test_each_line_has_a_block_and_its_nets_their_classes() -> None:
    assert sorted(block.line for block in BLOCKS) == list(range(1, LINES + 1))
    by_class = {net: WHERE.class_of(BOARD.plain(net)) for net in BOARD.nets}
    assert by_class["/Line3/t"] == by_class["/TIP_TEL8"] == "LINE"
    assert by_class["/Line8/s1"] == "MIDDLE"
    assert by_class["/panel/p"] == by_class["/panel/r1"] == by_class["+5V"] == "CARD"
    assert by_class["/supply/ret"] == "ENTRY"


def test_a_part_without_a_place_is_named(tmp_path: Path) -> None:
    text = (HARDWARE / "circuit" / "cardplaces.toml").read_text()
    (tmp_path / "p.toml").write_text(text.replace("U1501 = [162, 30, 0]\n", ""))
    with pytest.raises(BadInput, match=r"no place for U1501"):
        routing.route(BOARD, cardboard.load(LINE, tmp_path / "p.toml")[0])
    (tmp_path / "p.toml").write_text(text.replace("line = 1\n", "row = 1\n"))
    with pytest.raises(BadInput, match=r"block: Object .*"):
        cardboard.load(LINE, tmp_path / "p.toml")
