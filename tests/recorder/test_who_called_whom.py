# SPDX-License-Identifier: Apache-2.0
"""Each call is a call of its own, and what was not heard whole is not judged by what is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from call_rig import Kept, Story
from sounds import digits, ringback, talk

from linetap.config.schema import Config
from linetap.ring import RATE_HZ
from linetap.ring.batch import gap_batch
from unit_rig import make_unit

BATTERY, SPEAKING, DEAD = -4800, -800, 0  # 0.01 V


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    return make_unit(tmp_path, run_dir).config


def told(kept: Kept) -> list[tuple[str, str, str, str]]:
    return [(record.direction, record.disposition, record.why, record.dialled or "") for record in kept.records]


def voltage(story: Story, *runs: tuple[float, int]) -> Story:
    """Line 1 up to each second in turn; the rest of the lines has no meter."""
    volts, begin = story.card._levels.volts[0], 0
    for until_s, value in runs:
        volts[begin : round(until_s * 100)] = value
        begin = round(until_s * 100)
    return story


def tell_without(story: Story, from_s: float, to_s: float) -> Kept:
    """As the ring has it where capture was dead from `from_s` to `to_s`: a gap, and nothing of it was seen."""
    while (batch := story.card.next(25)) is not None:
        if from_s <= batch.frame / RATE_HZ < to_s:
            lines = len(batch.hook)
            batch = gap_batch(
                lines, batch.seq, batch.frame, batch.frames, batch.mono_ns, batch.utc_ns, "capture_restart"
            )
        story.recorder.follow(1, batch)
    return story.vault


def rings(story: Story, first_s: float, bursts: int, line: int = 1, pause_s: float = 2.0) -> Story:
    """1 s on, 2 s off, as exchanges in Korea ring."""
    for n in range(bursts):
        begin_s = first_s + n * (1.0 + pause_s)
        story.ring(begin_s, begin_s + 1.0, line)
    return story


@pytest.mark.parametrize("after_s", [3.5, 5.0, 7.5])
def test_a_missed_call_and_the_next_are_two(config: Config, after_s: float) -> None:
    story = rings(Story(config, 40), 1, 4)  # up to 11 s
    rings(story, 11 + after_s, 2).off_hook(11 + after_s + 5, 30).sound(11 + after_s + 9, talk(3))
    first, second = story.tell().records
    assert (first.disposition, second.disposition) == ("missed", "recorded")
    assert (second.direction, second.answered_by) == ("in", "hook")


@pytest.mark.parametrize("after_s", [3.5, 5.0, 7.5])
def test_a_missed_call_and_an_outgoing_one_are_two(config: Config, after_s: float) -> None:
    lifted_s = 11 + after_s
    story = rings(Story(config, 40), 1, 4).off_hook(lifted_s, 35).sound(lifted_s + 1, digits("0312345678"))
    story.sound(lifted_s + 4, ringback(1)).sound(lifted_s + 8, talk(3))
    first, second = story.tell().records
    assert (first.direction, first.disposition) == ("in", "missed")
    assert (second.direction, second.dialled) == ("out", "0312345678")


def test_who_lifts_in_the_pause_answers(config: Config) -> None:
    story = rings(Story(config, 30), 1, 4).off_hook(12.9, 25).sound(17, talk(3))
    (record,) = story.tell().records
    assert (record.direction, record.answered_by) == ("in", "hook")


def test_a_line_that_rang_only_once_before_learns_its_pause_from_the_calls_before(config: Config) -> None:
    story = rings(rings(Story(config, 50), 1, 3), 25, 1).off_hook(30, 45).sound(31, digits("0312345678"))
    assert [(record.direction, record.disposition) for record in story.tell().records[:2]] == [("in", "missed")] * 2


@pytest.mark.parametrize("pause_s", [2.0, 3.0, 4.0, 5.0])
def test_a_slower_cadence_is_one_call_again_after_two_bursts(config: Config, pause_s: float) -> None:
    story = rings(rings(Story(config, 90), 1, 3), 30, 8, pause_s=pause_s)
    later = story.tell().records[1:]
    assert 1 <= len(later) <= (1 if pause_s == 2.0 else 3)


@pytest.mark.parametrize("break_s", [0.5, 1.2, 2.0, 3.5])
def test_a_break_of_the_exchange_leaves_no_phantom(config: Config, break_s: float) -> None:
    """The far end has hung up, and the handset is put down four seconds later."""
    over_s = 20 + break_s
    story = rings(Story(config, 40), 1, 2).off_hook(5, over_s + 4).sound(9, talk(5))
    voltage(story, (5, BATTERY), (20, SPEAKING), (over_s, DEAD), (over_s + 4, SPEAKING), (40, BATTERY))
    (record,) = story.tell().records
    assert (record.disposition, record.ended_by) == ("recorded", "loop_break")


@pytest.mark.parametrize("hole", [(1.9, 3.1), (0.7, 3.1)])
def test_a_number_of_which_something_may_be_lost_is_not_judged_by_what_is_left(
    config: Config, hole: tuple[float, float]
) -> None:
    """Of 031-2345 without its 031 is left 2345, which is the pattern of the house."""
    story = Story(config, 30, noise_peak=30).off_hook(1, 25).sound(2, digits("031")).sound(3.5, digits("2345"))
    story.sound(6, ringback(1)).sound(11, talk(4))
    kept = tell_without(story, *hole)
    assert [record.disposition for record in kept.records] == ["recorded"]
    assert (kept.records[0].dialled, kept.records[0].internal_by) == ("2345", None)


def test_a_number_that_was_heard_whole_is(config: Config) -> None:
    story = Story(config, 30, noise_peak=30).off_hook(1, 25).sound(2, digits("2345")).sound(6, ringback(1))
    (record,) = story.sound(11, talk(4)).tell().records
    assert (record.disposition, record.why, record.internal_by) == ("skipped", "internal", "dialled")


def test_hung_up_and_redialled_within_800_ms_are_two(config: Config) -> None:
    """Before anybody answered: each number is of a call of its own."""
    story = Story(config, 40, noise_peak=30).off_hook(1, 8).sound(2, digits("0311111111")).sound(5, ringback(1))
    story.off_hook(8.8, 30).sound(9.8, digits("0322222222")).sound(13, ringback(1)).sound(17, talk(4))
    first, second = story.tell().records
    assert [(each.direction, each.dialled) for each in (first, second)] == [
        ("out", "0311111111"),
        ("out", "0322222222"),
    ]
    assert (first.disposition, first.ended_by, second.disposition) == ("unanswered", "on_hook", "recorded")


def test_a_flash_key_before_the_answer_is_one_call(config: Config) -> None:
    story = Story(config, 30, noise_peak=30).off_hook(1, 5).sound(2, digits("9")).off_hook(5.4, 25)
    story.sound(6.4, digits("0322222222")).sound(9.5, ringback(1)).sound(14, talk(4))
    (record,) = story.tell().records
    assert record.dialled == "0322222222"
