# SPDX-License-Identifier: Apache-2.0
"""The call table, one story for each test. Notice of 1 s, delay 500 ms, debounce of a lifted handset 35 ms."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from call_rig import START_NS, Kept, Story
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linetap.config.schema import Config, Recording
from linetap.recorder.calls.table import STATUS, TABLE
from linetap_core.clock import NS_PER_MS, rfc3339
from unit_rig import make_unit

ANSWER_S = 4.0
NOTICE_FRAME = round((ANSWER_S + 0.035 + 0.5) * 8000)


def at(seconds: float) -> str:
    return rfc3339(START_NS + round(seconds * 1000) * NS_PER_MS)


def recording(config: Config, **changes: object) -> Config:
    return msgspec.structs.replace(config, recording=msgspec.structs.replace(config.recording, **changes))


def incoming(config: Config, end_s: float, seconds: float) -> Story:
    return Story(config, seconds).ring(0.5, 1.5).ring(3.5, 4.0).off_hook(ANSWER_S, end_s)


def test_an_answered_call_is_announced_and_then_recorded(config: Config) -> None:
    kept = incoming(config, 10.0, 13).tell()
    call_id, end_frame, record = kept.closed[0]
    assert kept.names() == ["started", "answered", "notice", "ended"]
    assert kept.opened == [(call_id, 1, NOTICE_FRAME)]
    assert end_frame == 80_000
    assert max(kept.permitted[call_id]) == 80_000
    assert (record.direction, record.disposition, record.answered_by) == ("in", "recorded", "hook")
    assert (record.ring_at, record.off_hook_at, record.ended_at) == (at(0.5), at(4.0), at(10.0))
    assert (record.ended_by, record.duration_s, record.why) == ("on_hook", 6.0, "")
    assert record.notice is not None
    assert (record.notice.started_at, record.notice.ended_at, record.notice.proof) == (at(4.535), at(5.535), "full")
    assert call_id == "20261125T225600.623Z-L01"
    assert record.retention is not None
    assert (record.retention.class_, record.retention.until) == ("standard", "2027-01-25T15:00:00.000Z")


def test_nothing_is_opened_before_the_notice_has_ended(config: Config) -> None:
    story = incoming(config, 10.0, 13)
    while story.card._position < 550:
        batch = story.card.next(1)
        assert batch is not None
        story.recorder.follow(1, batch)
    assert story.vault.opened == []
    story.tell()
    assert len(story.vault.opened) == 1


def test_recording_may_begin_behind_the_notice(config: Config) -> None:
    kept = incoming(recording(config, record_from="notice_end"), 10.0, 13).tell()
    assert kept.opened[0][2] == NOTICE_FRAME + 8000


def test_hanging_up_during_an_undisturbed_notice_passes_the_gate(config: Config) -> None:
    kept = incoming(config, 5.0, 9).tell()
    _, end_frame, record = kept.closed[0]
    assert record.disposition == "recorded"
    assert (kept.opened[0][2], end_frame) == (NOTICE_FRAME, 40_000)


def test_a_notice_that_nobody_could_hear_is_recorded_as_such(config: Config) -> None:
    story = incoming(config, 10.0, 13)
    story.card.return_nothing()
    record = story.tell().records[0]
    assert record.notice is not None
    assert (record.disposition, record.notice.proof) == ("recorded", "absent")


def test_half_a_notice_is_proven_as_half(config: Config) -> None:
    record = incoming(config, 5.2, 9).tell().records[0]
    assert record.notice is not None
    assert record.notice.proof == "partial"


def test_hanging_up_before_the_notice_leaves_nothing(config: Config) -> None:
    kept = incoming(config, 4.4, 9).tell()
    assert kept.opened == []
    assert (kept.records[0].disposition, kept.records[0].why) == ("discarded", "ended_before_notice")


@pytest.mark.parametrize("ms", range(-300, 301, 60))
def test_no_notice_of_a_record_begins_after_its_end(config: Config, ms: int) -> None:
    """An on-hook is only certain later, and the notice may have begun meanwhile."""
    (record,) = incoming(config, NOTICE_FRAME / 8000 + ms / 1000, 9).tell().records
    assert record.ended_at is not None
    for notice in record.notices:
        assert notice.ended_at is not None
        assert notice.started_at < notice.ended_at <= record.ended_at
    assert bool(record.notices) == (ms > 0)
    assert (record.disposition == "recorded") == (ms > 0)
    assert record.why == ("" if ms > 0 else "ended_before_notice")


def test_a_call_that_nobody_answers_is_missed(config: Config) -> None:
    kept = Story(config, 20).ring(0.5, 1.5).ring(3.5, 4.5).tell()
    assert kept.names() == ["started", "missed"]
    assert (kept.records[0].disposition, kept.records[0].ended_at) == ("missed", at(4.5))
    assert kept.closed[0][1] is None


def test_an_outgoing_call_is_answered_by_polarity(config: Config) -> None:
    kept = Story(config, 15).off_hook(1, 12).reverse(5, 12).tell()
    record = kept.records[0]
    assert (record.direction, record.answered_by, record.answered_at) == ("out", "polarity", at(5))
    assert kept.opened[0][2] == round((5 + 0.064 + 0.5) * 8000)


def test_an_outgoing_call_is_answered_by_time(config: Config) -> None:
    kept = Story(recording(config, answer_unheard_s=3), 12).off_hook(1, 9).tell()
    assert (kept.records[0].answered_by, kept.records[0].answered_at) == ("unknown", at(4.035))


def test_an_outgoing_call_that_is_given_up_is_unanswered(config: Config) -> None:
    kept = Story(config, 12).off_hook(1, 9).tell()
    assert (kept.records[0].disposition, kept.closed[0][1]) == ("unanswered", None)


def test_a_flash_does_not_end_the_recording(config: Config) -> None:
    kept = incoming(config, 12.0, 15).on_hook(8.0, 8.5).tell()
    assert [end for _, end, _ in kept.closed] == [96_000]


def test_a_notice_that_does_not_play_discards_the_call(config: Config) -> None:
    story = incoming(config, 14.0, 17)
    story.card.deaf_to_commands = True
    kept = story.tell()
    assert kept.opened == []
    assert (kept.records[0].disposition, kept.records[0].why) == ("discarded", "notice_failed")


def test_a_notice_that_does_not_play_is_recorded_and_flagged_where_policy_says_so(config: Config) -> None:
    story = incoming(recording(config, on_notice_failure="record_and_flag"), 14.0, 17)
    story.card.absent = True
    record = story.tell().records[0]
    assert (record.disposition, record.why, record.notice) == ("recorded", "peer_absent", None)


def test_a_notice_that_is_cut_off_is_played_once_more(config: Config) -> None:
    story = incoming(config, 12.0, 15)
    while story.card._position < 500:
        story.recorder.follow(1, story.card.next(1))  # type: ignore[arg-type]
    story.card.stop(1)
    record = story.tell().records[0]
    assert record.disposition == "recorded"
    assert len(record.notices) == 2
    assert record.notices[0].ended_at is None
    assert story.vault.opened[0][2] > NOTICE_FRAME + 4000


def test_an_exempt_line_gets_neither_notice_nor_recording(tmp_path: Path, run_dir: Path) -> None:
    config = make_unit(tmp_path, run_dir, exempt=(1,)).config
    kept = incoming(config, 10.0, 13).tell()
    assert "notice" not in kept.names()
    assert (kept.records[0].disposition, kept.records[0].why, kept.opened) == ("exempt", "line_exempt", [])


def test_a_full_disk_refuses_new_calls_without_a_notice(config: Config) -> None:
    story = incoming(config, 10.0, 13)
    story.vault.skip_reason = "disk_full"
    kept = story.tell()
    assert (kept.records[0].disposition, kept.records[0].why) == ("discarded", "disk_full")
    assert "notice" not in kept.names()


def test_the_longest_call_is_sealed_and_goes_on_as_another(config: Config) -> None:
    kept = incoming(recording(config, longest_call_s=5), 16.0, 20).tell()
    first, second, third = kept.records
    assert (first.ended_by, second.continues, third.continues) == ("time_limit", first.call_id, second.call_id)
    assert [end for _, end, _ in kept.closed] == [NOTICE_FRAME + 40_000, NOTICE_FRAME + 80_000, 128_000]
    assert [first_frame for _, _, first_frame in kept.opened] == [NOTICE_FRAME + n * 40_000 for n in range(3)]


def test_two_lines_do_not_touch_each_other(config: Config) -> None:
    kept = incoming(config, 10.0, 16).off_hook(4.5, 12.0, line=2).ring(1.0, 2.0, line=2).ring(4.0, 4.5, line=2).tell()
    assert {(record.line, record.ended_at) for record in kept.records} == {(1, at(10.0)), (2, at(12.0))}


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=40), forget_at=st.integers(0, 40))
def test_cuts_and_a_restart_in_between_change_nothing(
    config_of_module: Config, uncut: list[bytes], cuts: list[int], forget_at: int
) -> None:
    """Any batches up to 400 ms; the lines' state is encoded and decoded once."""
    story = _busy(config_of_module)
    for number, slots in enumerate(cuts):
        if not story.step(slots):
            break
        if number == forget_at:
            story.restart()
    assert _everything(story.tell(7)) == uncut


@pytest.fixture(scope="module")
def uncut(config_of_module: Config) -> list[bytes]:
    return _everything(_busy(config_of_module).tell(10))


@pytest.fixture(scope="module")
def config_of_module(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("unit")
    return make_unit(folder, folder).config


def _busy(config: Config) -> Story:
    return incoming(config, 9.0, 16).on_hook(7.0, 7.4).off_hook(2.0, 12.0, line=2).reverse(3.3, 12.0, line=2)


def _everything(kept: Kept) -> list[bytes]:
    """The requests of each line in its order; the order between lines depends on the batches."""
    events = [[event for event in kept.events if event.line == line] for line in (1, 2)]
    closed = [[entry for entry in kept.closed if entry[2].line == line] for line in (1, 2)]
    return [msgspec.json.encode(each) for each in (events, sorted(kept.opened), closed)]


levels = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11_900), st.integers(1, 9000)), max_size=14)


@settings(max_examples=60, deadline=None)
@example(levels=[(0, 0, 226), (0, 0, 1227), (0, 0, 1252), (2, 0, 64)], played=False)
@given(levels=levels, played=st.booleans())
def test_whatever_the_line_does_every_call_ends_in_one_record(
    config_of_module: Config, levels: list[tuple[int, int, int]], played: bool
) -> None:
    story = Story(config_of_module, 24)
    story.card.deaf_to_commands = not played
    for kind, start, length in levels:
        story.bits[kind, 0, start : min(start + length, 12_000)] ^= True
    kept = story.tell()
    started = [event.call_id for event in kept.events if event.event == "started"]
    assert sorted(map(str, started)) == sorted(record.call_id for record in kept.records)
    opened = {call_id for call_id, _, _ in kept.opened}
    assert opened >= {record.call_id for record in kept.records if record.disposition == "recorded"}
    assert all(played for call_id in opened)


def test_every_state_has_a_way_on_and_a_status() -> None:
    assert {state for state, _ in TABLE} == set(STATUS)


def test_recording_defaults_are_the_strict_ones() -> None:
    policy = Recording()
    assert (policy.on_notice_failure, policy.record_from) == ("discard", "notice_start")
