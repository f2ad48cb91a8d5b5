# SPDX-License-Identifier: Apache-2.0
"""The runs of `./build.sh hil` share one list of tests: each test runs once, the longest first."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

HIL = Path(__file__).parents[1] / "hil"
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

@pytest.mark.parametrize("one", range(2))
def test_unknown(one): note(f"unknown {one}")

def note(text):
    with open(os.environ["RAN"], "a") as ran:
        ran.write(f"{os.getpid()} {text}\\n")
    time.sleep(0.1)
"""
TAKES = {
    "test_board.py::test_before": 4,
    "test_board.py": 3,
    "test_board.py::test_after": 2,
    "test_board.py::test_goes_on": 1,
}


def test_each_test_runs_once(tmp_path: Path) -> None:
    """Tests that share a fixture of their file run together in one of the two runs."""
    (tmp_path / "test_board.py").write_text(TESTS)
    (tmp_path / "taken").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "takes.py").write_text(f"TAKES = {TAKES}\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{HIL}:{HIL.parent}", "RAN": str(tmp_path / "ran")}
    environment.pop("PYTEST_ADDOPTS", None)
    run = [sys.executable, "-m", "pytest", "-p", "hil_table", "--taken", "taken", "test_board.py"]
    runs = [subprocess.Popen(run, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], outputs
    ran = [line.split(" ", 1) for line in (tmp_path / "ran").read_text().splitlines()]
    names = [text for _, text in ran]
    counts = {"unknown": 2, "before": 2, "together": 9, "after": 2, "goes on": 2}
    assert sorted(names) == sorted(f"{kind} {one}" for kind, count in counts.items() for one in range(count))
    assert len({process for process, text in ran if text.startswith("together")}) == 1
    rows = [line for output in outputs for line in output.splitlines() if line.startswith("passed  ")]
    assert len(rows) == len(names), outputs
    for process in {process for process, _ in ran}:
        mine = [text.rpartition(" ")[0] for by, text in ran if by == process]
        assert mine == sorted(mine, key=list(counts).index), "what takes longest first"


def test_a_test_of_another_file_follows_one_that_the_other_run_has(tmp_path: Path) -> None:
    """pytest keeps a file's fixtures for the next test of that file, which the other run has."""
    (tmp_path / "test_a.py").write_text("def test_first(): pass\ndef test_second(): pass\n")
    (tmp_path / "test_b.py").write_text("def test_third(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "takes.py").write_text(
        "TAKES = {'test_a.py::test_first': 3, 'test_a.py::test_second': 2, 'test_b.py::test_third': 1}\n"
    )
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / hashlib.sha256(b"test_a.py::test_second").hexdigest()).touch()
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{HIL}:{HIL.parent}"}
    environment.pop("PYTEST_ADDOPTS", None)
    run = [sys.executable, "-m", "pytest", "-p", "hil_table", "--taken", "taken"]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_table_of_times_has_the_tests_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renamed test would be scheduled as one without a known duration."""
    monkeypatch.syspath_prepend(str(HIL))
    from takes import TAKES as table

    there = set()
    for path in HIL.glob("test_*.py"):
        tests = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        there |= {path.name} | {f"{path.name}::{name}" for name in tests if name.startswith("test_")}
    assert {name.partition("[")[0] for name in table} <= there
    assert {path.name for path in HIL.glob("test_*.py")} == {name.partition("::")[0] for name in table}


def test_no_fixture_of_all_tests_takes_the_place_of_one_of_these() -> None:
    """pytest prefers a conftest's fixture to a plugin's of the same name."""
    plugin, conftest = (_fixtures(path) for path in (HIL / "hil_table.py", HIL.parent / "conftest.py"))
    assert plugin
    assert plugin & conftest == set()


def _fixtures(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name for node in functions if any("fixture" in ast.unparse(each) for each in node.decorator_list)}
