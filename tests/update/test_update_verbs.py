# SPDX-License-Identifier: Apache-2.0
"""`linetap update`: its output for a person, and its message on a machine that is no image."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import config_file
from linetap.update import state
from linetap_core import cli
from linetap_core.records import UpdateState
from unit_rig import make_unit

LIMIT_S = 120


@pytest.fixture
def unit(run_dir: Path) -> tuple[Path, Path]:
    """unit.toml, and the folder of updates."""
    config = make_unit(run_dir, run_dir).config
    folder = state.folder_of(config)
    folder.mkdir()
    return config_file.write(run_dir / "unit.toml", config), folder


def test_nothing_was_ever_wanted(unit: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["update", "show", "--config", str(unit[0])]) == 0
    assert json.loads(capsys.readouterr().out) == {}


def test_how_far_it_is(unit: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    state.save(unit[1], UpdateState(step="waiting", version="0.2.0", sha256="", by="command", at=""))
    assert cli.main(["update", "show", "--config", str(unit[0])]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == "waiting"


def said(code: int, *words: object) -> str:
    """The output of a separate process: it logs like a service."""
    command = [sys.executable, "-m", "linetap", "update", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_without_a_boot_loader_of_ours_it_is_reported_in_one_line(unit: tuple[Path, Path]) -> None:
    assert "slots get-current: No such file" in said(1, "trial", "--config", unit[0])


def test_a_stick_that_is_none_is_reported(unit: tuple[Path, Path]) -> None:
    assert "no block device" in said(2, "stick", "nothing9", "--config", unit[0])


def test_where_nothing_is_wanted_nothing_is_done(unit: tuple[Path, Path]) -> None:
    assert "update 0." in said(0, "install", "--config", unit[0])
    assert state.load(unit[1]) is None
