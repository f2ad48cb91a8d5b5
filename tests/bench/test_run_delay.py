# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from broker import until
from linetap_bench.stage.cable import VARIABLE, reports
from linetap_bench.stage.processes import Processes
from linetap_bench.stage.starvation import StarvedProcesses, waited

BUSY = "while :; do :; done"


@pytest.fixture
def lateness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of this test's own reports."""
    path = tmp_path / "lateness"
    path.touch()
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def waiting(lateness: Path) -> set[str]:
    return {report.who.partition(",")[0] for report in reports(lateness)}


def test_who_waits_for_a_processor_is_reported_and_who_sleeps_is_not(tmp_path: Path, lateness: Path) -> None:
    """Six busy processes share one processor: each waits for five sixths of the time."""
    one = str(min(os.sched_getaffinity(0)))
    with Processes(tmp_path / "logs", {}) as children, StarvedProcesses(children.children, 0.2):
        children.start("asleep", ["sleep", "600"])
        for number in range(6):
            children.start(f"busy-{number}", ["taskset", "-c", one, "sh", "-c", BUSY])
        until(lambda: {f"busy-{n}" for n in range(6)} <= waiting(lateness))
    assert "asleep" not in waiting(lateness)
    said = next(str(report) for report in reports(lateness) if report.who.startswith("busy"))
    assert re.fullmatch(r"busy-\d, ready and without a processor, was \d+ ms late", said)


def test_a_process_that_is_gone_has_not_waited() -> None:
    assert waited(os.getpid()) is not None
    assert waited(1 << 22) is None
