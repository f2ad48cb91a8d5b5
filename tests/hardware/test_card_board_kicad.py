# SPDX-License-Identifier: Apache-2.0
"""KiCad finds nothing wrong with the whole card's board.

That it finds what is broken is shown on the board of one line (test_line_board_kicad.py), and of the creepage here.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from drawing.project import LINES
from pcb import boardfile, cardboard, distance, making, places, windows
from pcb.cardboard import NAME, CardBoard
from pcb.places import Box
from simulation.netlist import HARDWARE

BOARD = CardBoard()
WHERE, _ = cardboard.load(places.load())
TOLD = re.compile(r"actual ([\d.]+) mm")
kicad = pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="kicad-cli is not installed: the board's design rules are not checked"
)


@kicad
def test_the_board_breaks_no_rule() -> None:
    assert making.design_rules(HARDWARE, NAME) == making.Verdict(broken=0, open=0, parity=0, first="")


@kicad
def test_nothing_creeps_to_a_pair_and_our_own_measure_is_kicads() -> None:
    """Asked for a little more than the barrier, KiCad says how near the nearest are."""
    asked = WHERE.barrier.line_to_card
    wider = replace(WHERE, barrier=replace(WHERE.barrier, line_to_card=4.9))
    found = [float(TOLD.findall(each)[0]) for each in making.creepage(HARDWARE, BOARD, wider)]
    assert min(found) >= asked
    copper = distance.pieces(boardfile.read((HARDWARE / f"{NAME}.kicad_pcb").read_text()))
    sides = {piece.net: WHERE.class_of(BOARD.plain(piece.net)) for piece in copper if piece.net}
    ours = distance.least(
        copper,
        lambda each: sides.get(each.net) == "LINE",
        lambda each: sides.get(each.net) not in (None, "LINE", "MIDDLE"),
    )
    assert min(found) == pytest.approx(ours.mm, abs=0.001), ours


@kicad
def test_a_track_beside_any_pair_is_told(tmp_path: Path) -> None:
    """Eight of ground, each 3.0 mm from the tip's pad of a fuse, on the same side of the board."""
    copy = making.copied(HARDWARE, tmp_path)
    file = copy / f"{NAME}.kicad_pcb"
    text = file.read_text()
    (ground,) = re.findall(r'\n\t\(net (\d+) "GND"\)', text)
    every, tracks = boardfile.read(text).pads, ""
    for line in range(1, 9):
        fuse = [pad for pad in every if pad.reference == f"F{line}01"]
        pad, other = sorted(fuse, key=lambda each: each.net != f"/TIP{line}")
        x = pad.x + (1 if pad.x > other.x else -1) * (pad.width / 2 + 3.0 + 0.125)
        ends = f"(start {x:.4f} {pad.y:.4f})\n\t\t(end {x:.4f} {pad.y + 1:.4f})\n\t\t(width 0.25)"
        tracks += f'\n\t(segment\n\t\t{ends}\n\t\t(layer "F.Cu")\n\t\t(net {ground})\n\t)'
    file.write_text(text.rstrip().removesuffix(")") + tracks + "\n)\n")
    found = making.creepage(copy, BOARD, WHERE)
    assert all("creepage 3.2000 mm" in each and "[GND]" in each for each in found)
    # KiCad goes no way over the copper of a third net: beside the fourth's fuse the ring's is in between.
    told = [any(f"[/{wire}{line}]" in each for wire in ("TIP", "RING") for each in found) for line in range(1, 9)]
    assert told == [True] * 8, found
    assert any("actual 3.0000 mm" in each for each in found)


@kicad
def test_a_track_of_another_line_beside_a_pair_is_told(tmp_path: Path) -> None:
    """Eight, each of the next line's ring and 0.8 mm from the tip's pad of a fuse."""
    text = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
    every, tracks, near = boardfile.read(text).pads, "", []
    for line in range(1, LINES + 1):
        fuse = [pad for pad in every if pad.reference == f"F{line}01"]
        pad, other = sorted(fuse, key=lambda each: each.net != f"/TIP{line}")
        x = pad.x + (1 if pad.x > other.x else -1) * (pad.width / 2 + 0.8 + 0.4)
        (number,) = re.findall(rf'\n\t\(net (\d+) "/RING{line % LINES + 1}"\)', text)
        ends = f"(start {x:.4f} {pad.y:.4f})\n\t\t(end {x:.4f} {pad.y + 0.5:.4f})\n\t\t(width 0.8)"
        tracks += f'\n\t(segment\n\t\t{ends}\n\t\t(layer "F.Cu")\n\t\t(net {number})\n\t)'
        near.append(Box(x - 2, pad.y - 2, x + 2, pad.y + 2))
    wrong = text.rstrip().removesuffix(")") + tracks + "\n)\n"
    (tmp_path / f"{NAME}.kicad_pcb").write_text(windows.cut(wrong, boardfile.items(wrong), near))
    for kind in ("dru", "pro"):
        shutil.copy(HARDWARE / f"{NAME}.kicad_{kind}", tmp_path)
    options = ("--severity-all", "--format", "json", "-o", str(tmp_path / "told.json"))
    making.run("kicad-cli", "pcb", "drc", *options, str(tmp_path / f"{NAME}.kicad_pcb"))
    told = [
        [each["description"], *(item["description"] for item in each["items"])]
        for each in json.loads((tmp_path / "told.json").read_text())["violations"]
    ]
    words = "to another' clearance 1.0000 mm; actual 0.8000 mm"
    found = {part for what, *items in told if words in what for part in items}
    assert {f"Pad 1 [/TIP{line}] of F{line}01 on F.Cu" for line in range(1, LINES + 1)} <= found


def test_what_creepage_is_asked_of_can_be_opened_alone(tmp_path: Path) -> None:
    """Without KiCad: the pairs whole, the rule that the card's own file lacks, and the classes that it names."""
    file = making.near_pairs(HARDWARE, BOARD, WHERE, tmp_path / "creepage")
    assert {each.name for each in file.parent.iterdir()} == {f"{NAME}.kicad_{kind}" for kind in ("pcb", "dru", "pro")}
    assert "(constraint creepage (min 3.2mm))" in file.with_suffix(".kicad_dru").read_text()
    assert "creepage" not in (HARDWARE / f"{NAME}.kicad_dru").read_text()
    assert file.with_suffix(".kicad_pro").read_text() == (HARDWARE / f"{NAME}.kicad_pro").read_text()
    cut, whole = (boardfile.read(each.read_text()) for each in (file, HARDWARE / f"{NAME}.kicad_pcb"))
    assert 0 < len(cut.tracks) < len(whole.tracks)
    for one, all_ in ((cut.tracks, whole.tracks), (cut.pads, whole.pads)):
        pairs = [[each for each in of if WHERE.class_of(BOARD.plain(each.net)) == "LINE"] for of in (one, all_)]
        assert pairs[0] == pairs[1]


def test_windows_are_beyond_all_copper_by_more_than_the_rule() -> None:
    assert WHERE.barrier.line_to_card < windows.BEYOND
    copper = [Box(39.0, 10.0, 121.0, 11.0), Box(-1.0, 5.0, 1.0, 6.0)]
    found = windows.around(copper)
    for box in copper:
        steps = [box.left + (box.right - box.left) * i / 100 for i in range(101)]
        for x in steps:
            assert any(
                each.left <= x - windows.BEYOND and x + windows.BEYOND <= each.right
                and each.top <= box.top - windows.BEYOND and box.bottom + windows.BEYOND <= each.bottom
                for each in found
            ), x  # fmt: skip
