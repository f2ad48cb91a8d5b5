# SPDX-License-Identifier: Apache-2.0
"""A failed test is run again only if a stand-in reported that it was held up, and the summary says so."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from held_up import FirstPass

CONFTEST = """
from pathlib import Path
import pytest
from held_up import HeldUpTests
from linetap_bench.stage.cable import report_late

def pytest_configure(config):
    config.pluginmanager.register(HeldUpTests())

def run_number(name):
    file = Path(__file__).with_name(name)
    file.write_text(file.read_text() + "x" if file.exists() else "x")
    return len(file.read_text())
"""
HEAD = "from conftest import *\n"
LATE = "    report_late('the exchange', 312.4)\n"


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """pytest, with the plugin, on one file of tests."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    soak\n")
    (folder / "test_it.py").write_text(HEAD + body)
    path = os.pathsep.join([str(Path(__file__).parents[1] / "rigs"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider"], cwd=folder, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, timeout=250,
    )  # fmt: skip


def runs(folder: Path, name: str) -> int:
    return len((folder / name).read_text())


def held_up(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("HELD UP ")]


def test_a_test_whose_stand_in_was_late_is_run_again_and_named(tmp_path: Path) -> None:
    body = f"def test_a():\n    n = run_number('a')\n    if n == 1:\n    {LATE}    assert n == 2\n"
    done = run(tmp_path, body + "def test_b():\n    pass\n")
    assert done.returncode == 0, done.stdout
    assert held_up(done) == ["HELD UP test_it.py::test_a: the exchange was 312 ms late; run again: passed"]
    assert "  first failure: assert 1 == 2\n" in done.stdout
    assert "1 passed, 1 held up" in done.stdout.splitlines()[-1]
    assert "FAILED" not in done.stdout


def test_a_fault_of_the_product_beside_a_late_stand_in_fails_in_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, f"def test_a():\n    run_number('a')\n{LATE}    assert False\n")
    assert done.returncode == 1
    late = "failed (the exchange was 312 ms late)"
    assert held_up(done) == [f"HELD UP test_it.py::test_a: the exchange was 312 ms late; run again: {late}, {late}"]
    assert "\nFAILED test_it.py::test_a" in done.stdout
    assert "1 failed" in done.stdout.splitlines()[-1]
    assert runs(tmp_path, "a") == 3


def test_a_failure_without_a_report_stays_one(tmp_path: Path) -> None:
    """A test that would pass the next time; the test before it had a late stand-in."""
    late = f"def test_a():\n{LATE}"
    done = run(tmp_path, late + "def test_b():\n    assert run_number('b') == 2\n")
    assert (done.returncode, held_up(done), runs(tmp_path, "b")) == (1, [], 1)


def test_a_repetition_that_fails_without_a_report_is_the_last(tmp_path: Path) -> None:
    body = f"def test_a():\n    n = run_number('a')\n    if n == 1:\n    {LATE}    assert n == 3\n"
    done = run(tmp_path, body)
    assert (done.returncode, runs(tmp_path, "a")) == (1, 2)
    assert held_up(done) == ["HELD UP test_it.py::test_a: the exchange was 312 ms late; run again: failed"]
    assert "  | E       assert 2 == 3" in done.stdout


@pytest.mark.parametrize("where", ["set-up", "tear-down"])
def test_an_error_is_run_again_too(tmp_path: Path, where: str) -> None:
    first = ("", "    yield\n") if where == "tear-down" else ("    yield\n", "")
    raises = f"    if run_number('a') == 1:\n    {LATE}        raise OSError\n"
    done = run(tmp_path, f"@pytest.fixture\ndef a():\n{first[1]}{raises}{first[0]}def test_a(a):\n    pass\n")
    assert done.returncode == 0, done.stdout
    assert held_up(done) == ["HELD UP test_it.py::test_a: the exchange was 312 ms late; run again: passed"]
    assert "ERROR" not in done.stdout


@pytest.mark.parametrize(("ends", "counted"), [("return", ["c"]), ("yield", ["c"])])
def test_a_late_shared_fixture_counts_for_whoever_uses_it(tmp_path: Path, ends: str, counted: list[str]) -> None:
    """It is set up for the first test, and the third fails because of it; the fourth does not use it."""
    fixture = f"@pytest.fixture(scope='module')\ndef a():\n{LATE}    {ends}\n"
    tests = "def test_b(a):\n    pass\ndef test_c(a):\n    assert run_number('c') == 2\n"
    done = run(tmp_path, f"{fixture}{tests}def test_d():\n    assert run_number('d') == 2\n")
    assert [line.partition(": ")[0] for line in held_up(done)] == [f"HELD UP test_it.py::test_{n}" for n in counted]
    assert (done.returncode, runs(tmp_path, "c"), runs(tmp_path, "d")) == (1, 2, 1)


@pytest.mark.parametrize(("ends", "expected"), [("return", 1), ("yield", 2)])
def test_a_shared_stand_in_may_be_late_after_its_set_up(tmp_path: Path, ends: str, expected: int) -> None:
    """In another test: a returned fixture no longer runs, a yielding one does."""
    fixture = f"@pytest.fixture(scope='module')\ndef a():\n    {ends}\n"
    tests = f"def test_b(a):\n{LATE}def test_c(a):\n    assert run_number('c') == 2\n"
    run(tmp_path, fixture + tests)
    assert runs(tmp_path, "c") == expected


def test_the_long_tests_are_not_run_again(tmp_path: Path) -> None:
    done = run(tmp_path, f"@pytest.mark.soak\ndef test_a():\n    run_number('a')\n{LATE}    assert False\n")
    assert (done.returncode, held_up(done), runs(tmp_path, "a")) == (1, [], 1)


def test_a_repetition_waits_until_no_other_run_is_at_its_first(tmp_path: Path) -> None:
    """Otherwise the other runs would hold it up again."""
    shared = tmp_path / "first-pass"
    other, ours, alone = FirstPass(str(shared)), FirstPass(str(shared)), threading.Event()

    def ends() -> None:
        ours.end(alone=True)
        alone.set()

    waiting = threading.Thread(target=ends)
    waiting.start()
    assert not alone.wait(1), "the other one's tests still run"
    other.end(alone=False)
    waiting.join(60)
    assert alone.is_set()
    third = FirstPass(None)
    third.end(alone=True)
    for each in (other, ours, third):
        each.close()


def test_of_two_runs_the_repetitions_are_one_after_the_other(tmp_path: Path) -> None:
    shared = tmp_path / "first-pass"
    one, other = FirstPass(str(shared)), FirstPass(str(shared))
    other.end(alone=False)
    one.end(alone=True)
    waiting = threading.Thread(target=other.end, args=(True,))
    waiting.start()
    waiting.join(1)
    assert waiting.is_alive()
    one.close()
    waiting.join(60)
    assert not waiting.is_alive()
    other.close()
