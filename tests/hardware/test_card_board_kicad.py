# SPDX-License-Identifier: Apache-2.0
"""KiCad finds no fault in the whole card's board.

test_line_board_kicad.py shows that it detects faults, on the board of one line; of creepage, this file does.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from drawing.project import LINES
from pcb import boardfile, cardboard, distance, making, places, windows
from pcb.cardboard import NAME, CardBoard
from pcb.copper import Points, apart
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
    """With a requirement slightly above the barrier's, KiCad reports the nearest distances."""
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


def added(text: str, away: float, width: float, net: Callable[[int], str]) -> tuple[str, list[Box]]:
    """A track beside each line, this far from a pad of its pair and farther from all else; and their positions.

    They differ in length, by which KiCad names them: that of line 3 is 0.53 mm long.
    """
    front = [each for each in distance.pieces(boardfile.read(text)) if each.copper.layer == "F.Cu"]
    edges = [each.copper.edges() for each in front]
    begins, ends = (np.concatenate([pair[i] for pair in edges]) for i in (0, 1))
    count = [len(pair[0]) for pair in edges]
    radii = np.repeat([each.copper.radius for each in front], count)
    owner = np.repeat(np.arange(len(front), dtype=np.intp), count)
    tracks, where = "", []
    for line in range(1, LINES + 1):
        x, y, end = next(_free(line, away + width / 2, front, (begins, ends, radii, owner)))
        tracks += track(net(line), text, x, y, end, width)
        where.append(Box(x - 2, y - 2, x + 2, y + 2))
    return text.rstrip().removesuffix(")") + tracks + "\n)\n", where


def track(net: str, text: str, x: float, begins: float, ends: float, width: float) -> str:
    """A vertical track on the front of the board, as in its file."""
    (number,) = re.findall(rf'\n\t\(net (\d+) "{re.escape(net)}"\)', text)
    spots = f"(start {x:.4f} {begins:.4f})\n\t\t(end {x:.4f} {ends:.4f})\n\t\t(width {width})"
    return f'\n\t(segment\n\t\t{spots}\n\t\t(layer "F.Cu")\n\t\t(net {number})\n\t)'


def _free(
    line: int, away: float, front: list[distance.Piece], copper: tuple[Points, Points, Points, NDArray[np.intp]]
) -> Iterator[tuple[float, float, float]]:
    begins, ends, radii, owner = copper
    for i, piece in enumerate(front):
        if not (piece.reference and piece.net and WHERE.class_of(BOARD.plain(piece.net)) == "LINE"):
            continue
        (left, top), (right, bottom) = piece.copper.points.min(axis=0), piece.copper.points.max(axis=0)
        for x in (left - away, right + away) if BOARD.line_of(piece.net) == line and bottom - top > 1 else ():
            y = (top + bottom) / 2 - 0.25
            spot = np.array([[x, y], [x, y + 0.5 + line / 100]])
            others = owner != i
            if (apart(spot[0], spot[1], begins[others], ends[others]) - radii[others]).min() > away + 0.3:
                yield x, y, y + 0.5 + line / 100


@kicad
def test_a_track_beside_any_pair_is_told(tmp_path: Path) -> None:
    """Eight of ground, each 3.0 mm from a pad of a pair, on the same side of the board."""
    copy = making.copied(HARDWARE, tmp_path)
    file = copy / f"{NAME}.kicad_pcb"
    file.write_text(added(file.read_text(), 3.0, 0.25, lambda _: "GND")[0])
    found = making.creepage(copy, BOARD, WHERE)
    assert all("creepage 3.2000 mm" in each and "[GND]" in each for each in found)
    for line in range(1, LINES + 1):
        told = [each for each in found if f"Track [GND] on F.Cu, length 0.5{line}00 mm" in each]
        assert any("actual 3.0000 mm" in each for each in told), (line, found)


@kicad
def test_a_track_of_another_line_beside_a_pair_is_told(tmp_path: Path) -> None:
    """Eight, each of the next line's ring, 0.8 mm from a pad of a pair."""
    text = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
    wrong, near = added(text, 0.8, 0.8, lambda line: f"/RING{line % LINES + 1}")
    told = clearances(tmp_path, wrong, near)
    words = "to another' clearance 1.0000 mm; actual 0.8000 mm"
    found = {part for what, *items in told if words in what for part in items}
    for line in range(1, LINES + 1):
        assert f"Track [/RING{line % LINES + 1}] on F.Cu, length 0.5{line}00 mm" in found, told


@kicad
def test_a_track_of_another_line_beside_an_open_contact_is_told(tmp_path: Path) -> None:
    """Eight, each of the next line's ring, 0.8 mm from an unused contact of a relay; and eight of its own line's."""
    text = (HARDWARE / f"{NAME}.kicad_pcb").read_text()
    pads = {pad.reference: pad for pad in boardfile.read(text).pads if not pad.net}
    tracks, near = "", list[Box]()
    for line in range(1, LINES + 1):
        pad = pads[f"K{line}01"]
        for side, net in ((1, f"/RING{line % LINES + 1}"), (-1, f"/RING{line}")):
            x = pad.x + side * (pad.width / 2 + 0.8 + 0.1)
            tracks += track(net, text, x, pad.y, pad.y + 0.5 + line / 100, 0.2)
        near.append(Box(pad.x - 3, pad.y - 3, pad.x + 3, pad.y + 3))
    told = clearances(tmp_path, text.rstrip().removesuffix(")") + tracks + "\n)\n", near)
    words = "to an open contact of another' clearance 1.0000 mm; actual 0.8000 mm"
    found = {part for what, *items in told if words in what for part in items if part.startswith("Track")}
    assert found == {f"Track [/RING{n % LINES + 1}] on F.Cu, length 0.5{n}00 mm" for n in range(1, LINES + 1)}, told


def clearances(folder: Path, wrong: str, near: list[Box]) -> list[list[str]]:
    """Each of KiCad's findings near these places, with its two items, by the card's own rules."""
    (folder / f"{NAME}.kicad_pcb").write_text(windows.cut(wrong, boardfile.items(wrong), near))
    for kind in ("dru", "pro"):
        shutil.copy(HARDWARE / f"{NAME}.kicad_{kind}", folder)
    options = ("--severity-all", "--format", "json", "-o", str(folder / "told.json"))
    making.run("kicad-cli", "pcb", "drc", *options, str(folder / f"{NAME}.kicad_pcb"))
    return [
        [each["description"], *(item["description"] for item in each["items"])]
        for each in json.loads((folder / "told.json").read_text())["violations"]
    ]


def test_what_creepage_is_asked_of_can_be_opened_alone(tmp_path: Path) -> None:
    """Without KiCad: the pairs are whole, and the rule and its classes, missing in the card's own file, are there."""
    file = making.near_pairs(HARDWARE, BOARD, WHERE, tmp_path / "creepage")
    assert {each.name for each in file.parent.iterdir()} == {f"{NAME}.kicad_{kind}" for kind in ("pcb", "dru", "pro")}
    assert "(constraint creepage (min 3.2mm))" in file.with_suffix(".kicad_dru").read_text()
    assert "creepage" not in (HARDWARE / f"{NAME}.kicad_dru").read_text()
    assert file.with_suffix(".kicad_pro").read_text() == (HARDWARE / f"{NAME}.kicad_pro").read_text()
    cut, whole = (boardfile.read(each.read_text()) for each in (file, HARDWARE / f"{NAME}.kicad_pcb"))
    assert 0 < len(cut.tracks) < len(whole.tracks)
    names = re.findall(r'\n\t\(net \d+ "([^"\n]+)"\)', file.read_text())
    assert {track.net for track in cut.tracks} | {pad.net for pad in cut.pads} <= {"", *names}
    assert len(names) < len(BOARD.nets), "KiCad compares each net of the list with each"
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
