# SPDX-License-Identifier: Apache-2.0
"""KiCad itself reads the same copper from a board's file."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pcb import making
from pcb.boardfile import read
from pcb.lineboard import NAME
from simulation.netlist import HARDWARE

FOLDER, READER = HARDWARE / NAME, Path(__file__).with_name("kicad_copper.py")
pytestmark = pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="KiCad is not installed: its own reading of the board is not compared"
)


def rounded(rows: list[list[str | float]]) -> list[list[str | float]]:
    return sorted([each if isinstance(each, str) else round(each, 3) + 0.0 for each in row] for row in rows)


def test_kicad_reads_the_same_copper(tmp_path: Path) -> None:
    path = making.copied(FOLDER, tmp_path) / f"{NAME}.kicad_pcb"
    command = [making.DEBIAN_PYTHON, str(READER), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    theirs, ours = json.loads(done.stdout.splitlines()[-1]), read(path.read_text())
    assert rounded([list(each) for each in ours.tracks]) == rounded(theirs["tracks"])
    assert rounded([list(each[:-2]) for each in ours.pads]) == rounded(theirs["pads"])
    assert len(ours.areas) == len(theirs["areas"])
    for area, (net, layer, corners) in zip(ours.areas, theirs["areas"], strict=True):
        assert (area.net, area.layer) == (net, layer)
        assert area.outline == pytest.approx(np.array(corners), abs=1e-5)
