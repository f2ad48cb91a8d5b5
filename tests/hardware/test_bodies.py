# SPDX-License-Identifier: Apache-2.0
"""Every part on a board has a body: within its outline, as high as in the table, and found there by KiCad."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from math import dist, hypot
from pathlib import Path

import pytest

from linetap_core.errors import BadInput
from pcb import bodies, cardboard, footprints, making, places, stackup
from pcb.board import Board
from pcb.cardboard import CardBoard
from pcb.footprints import Footprint, Look
from pcb.lineboard import LineBoard
from simulation.netlist import HARDWARE

PLACED = re.compile(r'\n\t\(footprint "linetap:(\w+)".*?"Reference" "(\w+)".*?\n\t\)', re.DOTALL)
MODEL = re.compile(r'\(model "([^"]+)"')
FOOTPRINTS = footprints.load()
LOOKS = [(name, look) for name, each in FOOTPRINTS.items() for look in each.looks()]
BOARDS: dict[str, Board] = {"linetap.kicad_pcb": CardBoard(), "lineboard/lineboard.kicad_pcb": LineBoard()}
PAGE = (HARDWARE / "README.md").read_text()
kicad = pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="kicad-cli is not installed: what it makes of the bodies is not looked at"
)


def named(look: tuple[str, Look]) -> str:
    return footprints.model(look[0], FOOTPRINTS[look[0]], look[1])


@pytest.mark.parametrize("look", LOOKS, ids=named)
def test_a_body_is_within_its_parts_outline_and_as_high_as_it_says(look: tuple[str, Look]) -> None:
    """The courtyard is `body` and pads, and a quarter of a millimetre more."""
    footprint = FOOTPRINTS[look[0]]
    prisms = bodies.solids(footprint, look[1].look, look[1].height)
    left, top, right, bottom = footprint.courtyard()
    for x, y in (corner for prism in prisms for corner in prism.outline):
        assert left + footprints.SPARE <= x + 1e-6 <= right - footprints.SPARE + 2e-6, look
        assert top + footprints.SPARE <= -y + 1e-6 <= bottom - footprints.SPARE + 2e-6, look
    assert min(prism.bottom for prism in prisms) >= 0
    assert max(prism.top for prism in prisms) == look[1].height > 0
    assert footprint.tall


@pytest.mark.parametrize("look", LOOKS, ids=named)
def test_a_prism_goes_round_once_against_the_clock(look: tuple[str, Look]) -> None:
    """Otherwise its faces point inwards, and KiCad shows a hole."""
    for prism in bodies.solids(FOOTPRINTS[look[0]], look[1].look, look[1].height):
        ends = list(pairwise([*prism.outline, prism.outline[0]]))
        assert sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in ends) / 2 > 0.01
        assert min(dist(one, other) for one, other in ends) > 0.05
        assert prism.bottom < prism.top


def test_kicads_viewer_can_tell_the_colours_apart() -> None:
    """Two colours of equal distance from black look the same."""
    far = sorted(hypot(*colour) for colour in bodies.COLOURS.values())
    assert all(more - less > 0.003 for less, more in pairwise(far))


@pytest.mark.parametrize("file", BOARDS)
def test_every_placed_part_names_a_body_that_is_there(file: str) -> None:
    board = BOARDS[file]
    text = (HARDWARE / file).read_text()
    found = {
        each[2]: [HARDWARE / footprints.FOLDER / model for model in MODEL.findall(each[0])]
        for each in PLACED.finditer(text)
    }
    assert board.parts.keys() <= found.keys()
    for reference, part in board.parts.items():
        name = board.footprint_of[part.kind_name]
        look = board.footprints[name].look_of(part.kind_name)
        wanted = [footprints.model(name, board.footprints[name], look)] if look else []
        assert [path.name for path in found[reference]] == wanted, "./build.sh board"
        assert all(path.exists() for path in found[reference]), "tools/draw.py"
        assert look or board.footprints[name].bare, reference


def test_the_folder_has_no_body_more() -> None:
    there = {path.name for path in (HARDWARE / footprints.MODELS).iterdir()}
    assert there == bodies.files(FOOTPRINTS).keys()


def test_the_page_says_how_high_the_card_is() -> None:
    where, _ = cardboard.load(places.load())
    most, which = bodies.highest(BOARDS["linetap.kicad_pcb"])
    assert which == ["C1002", "C1003"]
    assert f"{where.width:g} x {where.height:g} mm, {most:g} mm above the board at most" in " ".join(PAGE.split())
    assert "](linetap-3d.png)" in PAGE
    assert "](lineboard/lineboard-3d.png)" in PAGE


@pytest.mark.parametrize(
    ("solids", "said"),
    [
        (["* chip tall"], r"'\* chip tall' is not: part look height"),
        (["* cube 1"], "'cube' is none of chip, resistor"),
        (["led chip 1"], "r51 has no body among led chip 1"),
    ],
)
def test_a_body_that_is_wrong_is_named(solids: list[str], said: str) -> None:
    wrong = Footprint(parts=["r51"], body=(-1, -1, 1, 1), solids=solids, pads=["1 0 0 1 1"], like="")
    with pytest.raises(BadInput, match=said):
        bodies.files({"wrong": wrong} if wrong.look_of("r51") else {})


def exported(folder: Path, name: str) -> list[tuple[float, ...]]:
    """Every corner of KiCad's export of the board with its bodies."""
    path = folder.parent / "board.stl"
    making.run(*making.EXPORT, "stl", "-f", "-o", str(path), str(folder / f"{name}.kicad_pcb"))
    return [tuple(map(float, row.split()[1:])) for row in path.read_text().splitlines() if "vertex" in row]


@kicad
def test_kicad_exports_bodies_as_high_as_the_table_says(tmp_path: Path) -> None:
    """Measured from the layers of the board, without mask and copper, which have no body."""
    folder = making.copied(HARDWARE / "lineboard", tmp_path)
    most, _ = bodies.highest(BOARDS["lineboard/lineboard.kicad_pcb"])
    high = max(z for _, _, z in exported(folder, "lineboard"))
    shutil.rmtree(folder.parent / footprints.MODELS)
    shutil.rmtree(folder / footprints.MODELS)
    bare = max(z for _, _, z in exported(folder, "lineboard"))
    assert bare == pytest.approx(stackup.THICK_MM, abs=0.1)
    assert high == pytest.approx(stackup.THICK_MM + most, abs=0.03)


@kicad
def test_the_picture_shows_the_bodies(tmp_path: Path) -> None:
    """With bodies, a tenth of the area of one line's board has another colour."""
    folder = making.copied(HARDWARE / "lineboard", tmp_path)

    def seen() -> list[bytes]:
        picture = tmp_path / "seen.png"
        size = ("--width", "300", "--height", "240", "--background", "opaque")
        making.run(*making.RENDER, *size, "-o", str(picture), str(folder / "lineboard.kicad_pcb"))
        command = ["ffmpeg", "-v", "error", "-i", str(picture), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60, stdin=subprocess.DEVNULL)
        return [done.stdout[i : i + 3] for i in range(0, len(done.stdout), 3)]

    with_bodies = seen()
    shutil.rmtree(folder.parent / footprints.MODELS)
    shutil.rmtree(folder / footprints.MODELS)
    without = seen()
    assert len(with_bodies) == len(without) > 10_000
    pairs = zip(with_bodies, without, strict=True)
    changed = sum(max(abs(a - b) for a, b in zip(*each, strict=True)) > 40 for each in pairs)
    assert changed / len(without) > 0.1
