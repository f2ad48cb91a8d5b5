# SPDX-License-Identifier: Apache-2.0
"""A compromised recorder reports a replaced configuration at any time and any number of times: the others continue."""

from __future__ import annotations

from pathlib import Path

import pytest

from linetap_core import rundir
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.records import ServiceState
from linetap_core.service import _RENEWAL, StateFile, _Renewed

OTHERS = ("capture@1", "reporter", "panel")
START_NS = 1000 * NS_PER_S
STEP_NS = NS_PER_S // 4


def says(run_dir: Path, at_ns: int) -> None:
    _RENEWAL.replace_in_ram(
        rundir.make_service_folder(run_dir, "recorder") / "renewed", _Renewed(at_ns, [*OTHERS, "recorder"])
    )


def worked_ns(run_dir: Path, name: str, clock: ManualClock, each_time: bool, at_ns: int = 0) -> list[int]:
    """The length of each of a service's lives within a minute."""
    lives, began_ns = [], clock.monotonic_ns()
    file, end_ns = StateFile(run_dir, name, clock), began_ns + 60 * NS_PER_S
    while clock.monotonic_ns() < end_ns:
        if each_time:
            says(run_dir, clock.monotonic_ns())
        else:
            says(run_dir, at_ns)
        file.write(ServiceState(service=name, version="0", pid=1, started_ns=0, mono_ns=0, progress=0))
        if file.outdated:
            lives.append(clock.monotonic_ns() - began_ns)
            began_ns = clock.monotonic_ns()
            file = StateFile(run_dir, name, clock)
        clock.advance(STEP_NS)
    return lives


@pytest.mark.parametrize("at_ns", [START_NS + 3600 * NS_PER_S, (1 << 63) - 1, 1 << 70, -1, 0])
@pytest.mark.parametrize("name", OTHERS)
def test_a_moment_to_come_ends_nobody(run_dir: Path, name: str, at_ns: int) -> None:
    """Each start is before it, so that each would end at once."""
    assert worked_ns(run_dir, name, ManualClock(monotonic_ns=START_NS), each_time=False, at_ns=at_ns) == []


@pytest.mark.parametrize("name", OTHERS)
def test_said_again_and_again_it_leaves_each_ten_seconds_of_work(run_dir: Path, name: str) -> None:
    lives = worked_ns(run_dir, name, ManualClock(monotonic_ns=START_NS), each_time=True)
    assert lives, "it is the recorder's to say"
    assert min(lives) >= 10 * NS_PER_S


def test_the_recorder_itself_obeys_its_own_word_at_once(run_dir: Path) -> None:
    assert max(worked_ns(run_dir, "recorder", ManualClock(monotonic_ns=START_NS), each_time=True)) < NS_PER_S
