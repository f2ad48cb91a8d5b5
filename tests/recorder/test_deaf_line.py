# SPDX-License-Identifier: Apache-2.0
"""A line on which notices are not heard: the criteria, their duration, and that its calls are recorded all the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from call_rig import START_NS, Story

from linetap.config.schema import Config
from linetap.learned import Learned
from linetap_core.clock import NS_PER_MS, rfc3339
from unit_rig import make_unit

EVERY_S = 10.0


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    """A fault requires three calls over 15 s."""
    whole = make_unit(tmp_path, run_dir).config
    return msgspec.structs.replace(whole, recording=msgspec.structs.replace(whole.recording, deaf_span_s=15))


def at(seconds: float) -> str:
    return rfc3339(START_NS + round(seconds * 1000) * NS_PER_MS)


def calls(config: Config, n: int, *, deaf: bool = True) -> Story:
    """That many incoming calls, 3.5 s each: the notice of 1 s plays to its end."""
    story = Story(config, EVERY_S * n, noise_peak=30)
    if deaf:
        story.card.return_nothing()
    for each in range(n):
        began = EVERY_S * each
        story.ring(0.5 + began, 1.4 + began).off_hook(1.5 + began, 6.0 + began)
    return story


def troubles(story: Story) -> list[str]:
    return story.recorder.line_states()[0].troubles


def told_to(story: Story, seconds: float) -> None:
    while story.card._position < seconds * 100:
        story.step(25)


def test_a_line_at_fault_is_alarmed_and_its_calls_are_recorded_and_flagged(config: Config) -> None:
    story = calls(config, 5)
    story.tell()
    assert [(r.disposition, r.why) for r in story.vault.records] == [("recorded", "")] * 2 + [
        ("recorded", "notice_not_heard")
    ] * 3
    assert {notice.proof for record in story.vault.records for notice in record.notices} == {"absent"}
    assert troubles(story) == ["notice_not_heard"]
    assert story.recorder.line_states()[0].state == "idle"  # it is ready for calls
    assert [line for line, since in story.vault.faults if since] == [1]


def test_the_first_of_them_is_a_doubt(config: Config) -> None:
    story = calls(config, 1)
    story.tell()
    assert troubles(story) == ["notice_doubtful"]


def test_many_calls_within_a_short_time_are_no_fault(config: Config) -> None:
    policy = msgspec.structs.replace(config.recording, deaf_span_s=1800)
    story = calls(msgspec.structs.replace(config, recording=policy), 5)
    story.tell()
    assert (troubles(story), story.vault.faults) == (["notice_doubtful"], [])


def test_learning_the_line_ends_the_fault(config: Config) -> None:
    story = calls(config, 4)
    told_to(story, 38.0)
    assert troubles(story) == ["notice_not_heard"]
    story.learnt(at(38.0))
    assert troubles(story) == []
    assert story.vault.faults[-1] == (1, None)


def test_a_notice_heard_to_its_end_ends_the_fault(config: Config) -> None:
    story = calls(config, 4)
    told_to(story, 29.0)
    assert troubles(story) == ["notice_not_heard"]
    story.card._deaf = set()
    story.tell()
    assert (troubles(story), story.vault.records[-1].why) == ([], "")
    assert story.vault.faults[-1] == (1, None)


def test_the_count_outlives_a_restart_of_the_recorder(config: Config) -> None:
    story = calls(config, 3)
    told_to(story, 19.0)
    story.restart()
    story.tell()
    assert troubles(story) == ["notice_not_heard"]


def test_the_echo_that_was_learnt_of_a_line_decides_what_is_quiet(config: Config) -> None:
    """Noise that would hide this line's faint echo does not hide a louder one."""
    for echo_db, deaf in ((-6.0, True), (-40.0, False)):
        story = calls(config, 1)
        story.recorder.update_learned({1: Learned(learned_at=at(0), echo_db=echo_db)})
        story.tell()
        assert (story.recorder.memories()[1].deaf_calls == 1) is deaf
