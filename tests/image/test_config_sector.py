# SPDX-License-Identifier: Apache-2.0
"""config.txt of a slot is one sector, equivalent for each board to image/boot/config.txt (image/config.sh)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from boards.models import BOARDS
from boards.rules import LINE, read_config
from boot_rig import IMAGE, LIMIT_S, SECTOR

SOURCE = IMAGE / "boot/config.txt"


def made(source: Path, code: int = 0) -> str:
    done = subprocess.run([IMAGE / "config.sh", source], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.parametrize("slot", ["a", "b"])
def test_it_is_one_sector_and_says_the_same(slot: str) -> None:
    text = made(SOURCE).replace("@SLOT@", slot)
    assert len(text.encode()) == SECTOR
    assert text.endswith("\n")
    assert max(map(len, text.splitlines())) <= LINE
    for board in BOARDS:
        source = SOURCE.read_text().replace("@SLOT@", slot)
        assert read_config(text, board.filters) == read_config(source, board.filters), board.name


@pytest.mark.parametrize("bytes_", [1, 63, 64, 65, 127, 447, 448, 449, SECTOR - 1, SECTOR])
def test_whatever_its_length_it_fills_the_sector_with_comments(tmp_path: Path, bytes_: int) -> None:
    path = tmp_path / "config.txt"
    path.write_text("x" * (bytes_ - 1) + "\n" if bytes_ > 1 else "\n")
    text = made(path)
    assert len(text) == SECTOR
    assert {line[:1] for line in text.splitlines()} <= {"x", "#", ""}


def test_one_that_is_too_long_is_refused_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "config.txt"
    path.write_text("# a comment\n" * 99 + "x" * SECTOR + "\n")
    assert made(path, 1) == f"config.sh: {path}: {SECTOR + 1} bytes without its comments, and a sector has {SECTOR}\n"
