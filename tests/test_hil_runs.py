# SPDX-License-Identifier: Apache-2.0
"""The two runs of `./build.sh hil` share one list of tests: each test runs once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HIL = Path(__file__).parent / "hil"
TESTS = """
import os, time
import pytest

@pytest.fixture(scope="module")
def board(): return os.getpid()

@pytest.fixture
def kept(): pass

@pytest.mark.parametrize("one", range(2))
def test_goes_on(kept, one): note(f"goes on {one}")

@pytest.mark.parametrize("one", range(2))
def test_before(one): note(f"before {one}")

@pytest.mark.parametrize("one", range(9))
def test_together(board, one): note(f"together {one}")

@pytest.mark.parametrize("one", range(2))
def test_after(one): note(f"after {one}")

def note(text):
    with open(os.environ["RAN"], "a") as ran:
        ran.write(f"{os.getpid()} {text}\\n")
    time.sleep(0.1)
"""


def test_each_test_runs_once(tmp_path: Path) -> None:
    """And those that share a fixture of their file, in one of the two."""
    (tmp_path / "test_board.py").write_text(TESTS)
    (tmp_path / "taken").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = os.environ | {"PYTHONPATH": f"{HIL}:{HIL.parent}", "RAN": str(tmp_path / "ran")}
    environment.pop("PYTEST_ADDOPTS", None)
    run = [sys.executable, "-m", "pytest", "-p", "hil_table", "--taken", "taken", "test_board.py"]
    ends = [
        subprocess.Popen([*run, "--from", end], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for end in ("front", "back")
    ]
    outputs = [process.communicate(timeout=120)[0] for process in ends]
    assert [process.returncode for process in ends] == [0, 0], outputs
    ran = [line.split(" ", 1) for line in (tmp_path / "ran").read_text().splitlines()]
    names = [text for _, text in ran]
    counts = {"goes on": 2, "before": 2, "together": 9, "after": 2}
    assert sorted(names) == sorted(f"{kind} {one}" for kind, count in counts.items() for one in range(count))
    assert len({process for process, text in ran if text.startswith("together")}) == 1
    rows = [line for output in outputs for line in output.splitlines() if line.startswith("passed  ")]
    assert len(rows) == len(names), outputs
