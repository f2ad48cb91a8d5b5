# SPDX-License-Identifier: Apache-2.0
"""The factory's files, read back by an independent program, have the sheet's nets; damaged ones do not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pcb import making, places, readback
from pcb.lineboard import NAME, LineBoard
from simulation.netlist import HARDWARE

BOARD, WHERE = LineBoard(), places.load()
FRONT, PLANE, HOLES = f"{NAME}-F_Cu.gbr", f"{NAME}-In1_Cu.gbr", f"{NAME}-PTH.drl"
pytestmark = [
    pytest.mark.skipif(not shutil.which("kicad-cli"), reason="kicad-cli is not installed: it writes what is read back"),
    pytest.mark.skipif(not readback.WHERE.exists(), reason="gerbonara is not fetched: ./build.sh board fetches it"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("factory")
    making.copper_files(HARDWARE / NAME, NAME, folder)
    return folder


def test_the_files_have_the_nets_of_the_sheet(files: Path) -> None:
    assert readback.differences(files, BOARD, WHERE) == []


def cut(text: str) -> str:
    """Interrupts a run of /sp's tracks, between the sense amplifier and its divider."""
    run = re.search(r"%TO\.N,/sp\*%\n(?:G01\*\n)?(?:X[-\d]+Y[-\d]+D0[12]\*\n)+", text)
    assert run
    assert "D01*" in run[0]
    return text.replace(run[0], run[0].replace("D01*", "D02*"))


def joined(text: str) -> str:
    """Adds a track of 0.2 mm from R105's pad 1, which is /sp, to its pad 2, VMID."""
    return broken(text, r"(M02\*)", f"G01*\n{flashed('58', 5.8)}D02*\n{flashed('58', 4.2)}D01*\n\\1")


def flashed(x: str, y: float) -> str:
    return f"X{int((float(x) + 20) * 1e6)}Y{-int((y + 20) * 1e6)}"


def without_a_hole(text: str) -> str:
    """Removes the first hole of the smallest drill, a via."""
    return broken(text, r"(\nT1\n)X[-\d.]+Y[-\d.]+\n", r"\1")


def filled(text: str) -> str:
    """Adds copper to GND's plane where C118's pad, on another net, passes through it."""
    return broken(text, r"(M02\*)", f"%ADD99C,3.0*%\nD99*\n{flashed('70', 36)}D03*\n\\1")


def broken(text: str, old: str, new: str) -> str:
    assert re.search(old, text)
    return re.sub(old, new, text, count=1)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (FRONT, cut, r"/sp is in \d pieces"),
        (FRONT, joined, "/sp and VMID are one|VMID and /sp are one"),
        (HOLES, without_a_hole, r"is in \d pieces"),
        (PLANE, filled, "GND and /ct are one|/ct and GND are one"),
    ],
    ids=["a track cut", "two nets joined", "a hole not drilled", "a plane joined"],
)
def test_a_broken_file_is_told(files: Path, tmp_path: Path, name: str, change: Callable[[str], str], told: str) -> None:
    folder = Path(shutil.copytree(files, tmp_path / "files"))
    (folder / name).write_text(change((folder / name).read_text()))
    assert any(re.search(told, line) for line in readback.differences(folder, BOARD, WHERE))
