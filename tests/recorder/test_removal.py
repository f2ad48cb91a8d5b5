# SPDX-License-Identifier: Apache-2.0
"""Removal of the disk on request: calls in progress are sealed, and no new one begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_walk import SOON, events, record_of
from walk_rig import Walked, Wire

from linetap_core.records import CancelRemoval, PrepareRemoval, RecorderState, StartWalk
from linetap_core.service import read_state
from unit_rig import Unit, make_unit


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    return make_unit(tmp_path, run_dir, lines=3, recording=SOON)


@pytest.fixture
def walked(unit: Unit) -> Iterator[Walked]:
    with Walked(unit.config, [Wire(lifts=False) for _ in range(3)]) as made:
        made.turn()
        yield made


def state(walked: Walked) -> str | None:
    found = read_state(walked.config.run_path, "recorder", RecorderState)
    return found.removal if found is not None else None


def doing(walked: Walked, line: int) -> str:
    return walked.service.core.line_states()[line - 1].state


def test_what_was_being_said_is_sealed_and_nothing_new_begins(walked: Walked, unit: Unit) -> None:
    t = walked.frame / 8000
    walked.wires[0].rings, walked.wires[0].off_hook = [(t + 1, t + 2)], [(t + 3, t + 500)]
    walked.until(lambda: doing(walked, 1) == "recording", "a call is recorded")
    until_s = walked.frame / 8000
    walked.wires[1].off_hook = [(0, 1000)]
    walked.until(lambda: doing(walked, 2) == "off_hook", "and one is about to be announced")
    assert walked.ask(PrepareRemoval()) == []
    walked.until(lambda: state(walked) == "ready", "all is sealed")
    sealed = {event["line"]: event for event in events(unit.config) if event["event"] == "sealed"}
    made = record_of(unit.config, sealed[1]["call_id"])
    assert (made.disposition, made.why) == ("recorded", "removal")
    assert made.audio is not None
    assert made.audio.samples / 8000 >= until_s - t - 5
    assert sealed[2]["disposition"] != "recorded"

    t = walked.frame / 8000
    walked.wires[2].rings, walked.wires[2].off_hook = [(t + 1, t + 2)], [(t + 3, t + 9)]
    walked.until(lambda: walked.frame / 8000 > t + 12, "another call has come and gone")
    walked.until(lambda: state(walked) == "ready", "it is sealed, without a recording")
    (third,) = [event for event in events(unit.config) if event["event"] == "sealed" and event["line"] == 3]
    record = record_of(unit.config, third["call_id"])
    assert (record.disposition, record.why, record.audio) == ("discarded", "removal", None)


def test_a_unit_that_is_idle_is_ready_at_once_and_the_next_start_records_again(walked: Walked) -> None:
    assert state(walked) is None
    walked.ask(PrepareRemoval())
    walked.until(lambda: state(walked) == "ready", "there was nothing to be done")
    walked.restart()
    walked.until(lambda: state(walked) is None, "nothing of it is left")
    assert walked.service.vault.refused() is None


def test_a_removal_can_be_taken_back(walked: Walked) -> None:
    walked.ask(PrepareRemoval())
    walked.until(lambda: state(walked) == "ready", "there was nothing to be done")
    assert walked.service.vault.refused() == "removal"
    walked.ask(CancelRemoval())
    walked.until(lambda: state(walked) is None, "calls are recorded again")
    assert walked.service.vault.refused() is None


def test_a_walk_test_ends_with_it_and_is_reported(walked: Walked, unit: Unit) -> None:
    walked.ask(StartWalk("button"))
    walked.ask(PrepareRemoval())
    walked.until(lambda: state(walked) == "ready", "all is sealed")
    walked.until(walked.over, "and told")
    (told,) = [event for event in events(unit.config) if event["event"] == "walked"]
    assert told["red"] == [1, 2, 3]
