# SPDX-License-Identifier: Apache-2.0
"""Calls in quick succession stay separate, and incomplete numbers are not judged by the rest."""

from __future__ import annotations

import pytest
from call_rig import Kept, Story
from sounds import busy, dial, digits, ringback, talk

from linetap.config.schema import Config
from linetap.ring import RATE_HZ

BATTERY, SPEAKING, DEAD = -4800, -800, 0  # 0.01 V


def told(kept: Kept) -> list[tuple[str, str, str, str]]:
    return [(record.direction, record.disposition, record.why, record.dialled or "") for record in kept.records]


def voltage(story: Story, *runs: tuple[float, int]) -> Story:
    """Line 1's voltage up to each second in turn; the other lines have no meter."""
    volts, begin = story.card._levels.volts[0], 0
    for until_s, value in runs:
        volts[begin : round(until_s * 100)] = value
        begin = round(until_s * 100)
    return story


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
    """031-2345 without its 031 is 2345, which matches the pattern of the house."""
    story = Story(config, 30, noise_peak=30).off_hook(1, 25).sound(2, digits("031")).sound(3.5, digits("2345"))
    story.sound(6, ringback(1)).sound(11, talk(4))
    kept = story.gap(*hole).tell()
    assert [record.disposition for record in kept.records] == ["recorded"]
    assert (kept.records[0].dialled, kept.records[0].internal_by) == ("2345", None)


def test_a_number_that_was_heard_whole_is(config: Config) -> None:
    story = Story(config, 30, noise_peak=30).off_hook(1, 25).sound(2, digits("2345")).sound(6, ringback(1))
    (record,) = story.sound(11, talk(4)).tell().records
    assert (record.disposition, record.why, record.internal_by) == ("skipped", "internal", "dialled")


def test_hung_up_and_redialled_within_800_ms_are_two(config: Config) -> None:
    """Before any answer: each number belongs to its own call."""
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


# --- on-hook for under a second, and redialled ------------------------------------------------------------------


def redialled(
    config: Config, down_s: float, break_s: float, dial_tone: bool = False, then: str = "0322222222"
) -> Story:
    """An outgoing call is answered at about 9 s and continues; at `down_s` the loop opens, and somebody dials."""
    up_s = down_s + break_s
    story = Story(config, 55, noise_peak=30).off_hook(1, 50).on_hook(down_s, up_s).sound(2, digits("0311111111"))
    story.sound(5, ringback(1)).sound(9, talk(down_s - 9))
    if dial_tone:
        story.sound(up_s + 0.2, dial(1.0))
    return story.sound(up_s + 1.3, digits(then)).sound(up_s + 4.5, ringback(1)).sound(up_s + 8.5, talk(4))


@pytest.mark.parametrize("dial_tone", [False, True])
@pytest.mark.parametrize("break_s", [0.75, 0.8, 0.95])
@pytest.mark.parametrize("down_s", [20, 13.5])  # while they talk; while the notice plays
def test_put_down_and_redialled_after_an_answer_are_two(
    config: Config, down_s: float, break_s: float, dial_tone: bool
) -> None:
    kept = redialled(config, down_s, break_s, dial_tone).tell()
    first, second = kept.records
    assert [(each.direction, each.dialled, each.disposition) for each in (first, second)] == [
        ("out", "0311111111", "recorded"),
        ("out", "0322222222", "recorded"),
    ]
    assert (first.ended_by, second.ended_by) == ("on_hook", "on_hook")
    ended = next(end for call_id, end, _ in kept.closed if call_id == first.call_id)
    assert ended == down_s * RATE_HZ
    assert max(kept.permitted.get(first.call_id, [0])) <= ended  # the first call has no audio after the break
    assert [notice.proof for notice in second.notices] == ["full"]


def test_busy_then_put_down_for_a_moment_and_redialled_are_two(config: Config) -> None:
    story = redialled(config, 20, 0.8).sound(14.5, busy(5.5))
    first, second = story.tell().records
    assert [(each.dialled, each.disposition) for each in (first, second)] == [
        ("0311111111", "recorded"),
        ("0322222222", "recorded"),
    ]


def test_a_break_behind_which_nobody_dials_loses_nothing(config: Config) -> None:
    story = Story(config, 55, noise_peak=30).off_hook(1, 50).on_hook(20, 20.8).sound(2, digits("0311111111"))
    kept = story.sound(5, ringback(1)).sound(9, talk(11)).sound(21, talk(25)).tell()
    ((call_id, end, record),) = kept.closed
    assert (record.disposition, end, kept.withheld[call_id]) == ("recorded", 50 * RATE_HZ, [])
    assert max(kept.permitted[call_id]) > 49 * RATE_HZ


@pytest.mark.parametrize("dial_tone", [False, True])
def test_behind_a_flash_key_the_number_is_that_of_another_party(config: Config, dial_tone: bool) -> None:
    """On the wires it equals a call cut off by the hook: both parties are notified, and both numbers are recorded."""
    (record,) = redialled(config, 20, 0.5, dial_tone).tell().records
    assert (record.dialled, record.also_dialled, len(record.notices)) == ("0311111111", ["0322222222"], 2)


def test_a_put_down_call_that_was_not_recorded_ends_there_too(config: Config) -> None:
    story = Story(config, 55, noise_peak=30).off_hook(1, 50).on_hook(20, 20.8).sound(2, digits("2345"))
    story.sound(5, ringback(1)).sound(9, talk(9)).sound(22, digits("0322222222")).sound(26, ringback(1))
    first, second = story.sound(30, talk(4)).tell().records
    assert [(each.dialled, each.disposition) for each in (first, second)] == [
        ("2345", "skipped"),
        ("0322222222", "recorded"),
    ]
    assert first.ended_at is not None
    assert first.ended_at[17:23] == "20.123"


def test_a_restart_between_the_break_and_the_number_changes_nothing(config: Config) -> None:
    story = redialled(config, 20, 0.8)
    while story.card._position < 2130:
        story.step(10)
    story.restart()
    assert [each.dialled for each in story.tell().records] == ["0311111111", "0322222222"]


# --- lifted just when the caller has given up ------------------------------------------------------------------


def lifted(config: Config, after_s: float) -> Story:
    """Four rings up to 11 s; the caller has gone when the handset is lifted."""
    return rings(Story(config, 45, noise_peak=30), 1, 4).off_hook(11 + after_s, 40)


def goes_out(story: Story, number_s: float, number: str = "0312345678") -> list[tuple[str, str, str, str]]:
    story.sound(number_s, digits(number)).sound(number_s + 3.5, ringback(1)).sound(number_s + 7.5, talk(4))
    return told(story.tell())


@pytest.mark.parametrize("dials_after_s", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("dial_tone", [False, True])
@pytest.mark.parametrize("after_s", [0.5, 1.9, 2.5])
def test_lifted_behind_the_last_ring_and_dialled_are_two(
    config: Config, after_s: float, dial_tone: bool, dials_after_s: float
) -> None:
    story = lifted(config, after_s)
    if dial_tone:
        story.sound(11 + after_s + 0.2, dial(dials_after_s - 0.2))
    records = goes_out(story, 11 + after_s + dials_after_s)
    assert records == [("in", "missed", "not_answered", ""), ("out", "recorded", "", "0312345678")]


def test_who_dialled_after_a_missed_internal_call_is_recorded(config: Config) -> None:
    """The caller ID of a colleague skips the incoming call, not the outgoing one."""
    story = rings(Story(config, 45, noise_peak=30), 3.5, 3).off_hook(13.5, 40).sound(1.0, digits("D2345C"))
    records = goes_out(story, 15)
    assert records == [("in", "missed", "not_answered", ""), ("out", "recorded", "", "0312345678")]


@pytest.mark.parametrize("pressed", ["**9", "1", "119", "2001"])
def test_who_answers_and_presses_a_key_has_answered(config: Config, pressed: str) -> None:
    (record,) = lifted(config, 1.5).sound(14, digits(pressed)).sound(20, talk(5)).tell().records
    assert (record.direction, record.disposition) == ("in", "recorded")


def test_what_the_caller_dials_makes_no_call_of_it(config: Config) -> None:
    (record,) = lifted(config, 1.5).sound(14, digits("0312345678", -20.0)).sound(20, talk(5)).tell().records
    assert (record.direction, record.disposition, record.answered_by) == ("in", "recorded", "hook")


def test_the_keys_of_a_caller_keep_no_call_from_being_recorded(config: Config) -> None:
    """As loud as this telephone, and with an emergency number among them: the call is announced and recorded."""
    records = lifted(config, 1.5).sound(14, digits("1191191191")).sound(20, talk(9)).tell().records
    assert records[-1].disposition == "recorded"


def test_a_short_number_behind_its_dial_tone_is_one(config: Config) -> None:
    story = lifted(config, 1.5).sound(12.7, dial(1.2))
    assert goes_out(story, 14, "2345") == [("in", "missed", "not_answered", ""), ("out", "skipped", "internal", "2345")]


def test_who_lifts_while_it_rings_has_answered(config: Config) -> None:
    story = rings(Story(config, 45, noise_peak=30), 1, 4).off_hook(10.5, 40).sound(12, digits("0312345678"))
    (record,) = story.sound(20, talk(5)).tell().records
    assert (record.direction, record.disposition) == ("in", "recorded")


def test_a_second_party_that_is_busy_then_put_down_and_another_dialled_are_two(config: Config) -> None:
    story = Story(config, 60, noise_peak=30).off_hook(1, 55).sound(2, digits("0311111111")).sound(5, ringback(1))
    story.sound(9, talk(6)).on_hook(16, 16.5).sound(17.5, digits("0333333333")).sound(20.5, busy(5))
    story.on_hook(26, 26.8).sound(28, digits("0322222222")).sound(31, ringback(1)).sound(35, talk(4))
    first, second = story.tell().records
    assert (first.dialled, first.also_dialled, first.disposition) == ("0311111111", ["0333333333"], "recorded")
    assert (second.dialled, second.disposition) == ("0322222222", "recorded")
