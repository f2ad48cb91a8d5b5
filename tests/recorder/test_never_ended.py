# SPDX-License-Identifier: Apache-2.0
"""Calls that the unit never ends, whatever staff dial, and codes that are not staff's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from call_rig import Kept
from ending_rig import CODE_S, EndedStory, ending_config, incoming, kinds, of, outgoing, recording
from sounds import FAR_DBM0, call_waiting, dial, digits, ringback, talk

from linetap.config.schema import Config

LATE_S = 14.0  # of an outgoing call: after its announcement


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    return ending_config(tmp_path, run_dir)


def emergency(config: Config) -> EndedStory:
    story = outgoing(recording(config, record_emergency=True), number="119")
    return story.sound(LATE_S, digits("**2"))


def emergency_behind_a_prefix(config: Config) -> EndedStory:
    story = outgoing(recording(config, record_emergency=True), number="9112")
    return story.sound(LATE_S, digits("**2"))


def emergency_behind_an_area_code(config: Config) -> EndedStory:
    """The number of a city's fire station from a mobile telephone, and from some PBXs."""
    story = outgoing(recording(config, record_emergency=True), number="031119")
    return story.sound(LATE_S, digits("**2"))


def emergency_with_a_key_too_many(config: Config) -> EndedStory:
    """The exchange connects at the third digit."""
    story = outgoing(recording(config, record_emergency=True), number="1191")
    return story.sound(LATE_S, digits("**2"))


def emergency_in_the_call(config: Config) -> EndedStory:
    """Staff have requested an ambulance by a second call: the first party is held, and 119 is on the line."""
    story = incoming(recording(config, record_emergency=True), seconds=34).on_hook(5.0, 5.5).sound(5.6, dial(0.8))
    return story.sound(6.5, digits("119")).sound(8.5, ringback(1)).sound(12.5, talk(3)).sound(24, digits("**2"))


def colleague(config: Config) -> EndedStory:
    story = outgoing(recording(config, record_internal=True), number="2345")
    return story.sound(LATE_S, digits("**2"))


def unrecorded_colleague(config: Config) -> EndedStory:
    return outgoing(config, number="2345").sound(LATE_S, digits("**2"))


def unknown_number(config: Config) -> EndedStory:
    """No dialling was heard: it may have been any number."""
    story = incoming(config)
    story.bits[1, 0, :] = False
    story.reverse(3.0, 60)
    return story.sound(8, digits("**2"))


def not_announced(config: Config) -> EndedStory:
    story = incoming(config).sound(CODE_S, digits("**2"))
    story.card.return_nothing()
    return story


def before_the_announcement_is_over(config: Config) -> EndedStory:
    return incoming(config).sound(1.9, digits("**2"))


def announced_by_nobody(config: Config) -> EndedStory:
    story = incoming(recording(config, on_notice_failure="record_and_flag")).sound(CODE_S, digits("**2"))
    story.card.absent = True
    story.until(4.0)
    story.card.absent = False
    return story


def waiting(config: Config) -> EndedStory:
    return incoming(config).sound(5.5, call_waiting()).sound(9, digits("**2"))


def after_a_flash(config: Config) -> EndedStory:
    return incoming(config).on_hook(5.0, 5.5).sound(9, digits("**2"))


def after_a_flash_that_was_announced(config: Config) -> EndedStory:
    """A second party who has heard the announcement; the first may still be held at the PBX."""
    return incoming(config, seconds=26).on_hook(5.0, 5.5).sound(6.5, talk(3)).sound(16, digits("**2"))


def second_party(config: Config) -> EndedStory:
    story = incoming(config, seconds=34).on_hook(5.0, 5.5).sound(5.6, dial(0.8)).sound(6.5, digits("0312345678"))
    return story.sound(9.5, ringback(1)).sound(13.5, talk(3)).sound(24, digits("**2"))


def walk_test(config: Config) -> EndedStory:
    story = incoming(config).sound(CODE_S, digits("**2")).until(4)
    story.recorder.set_walk_line(1)
    return story


def missing_notice(config: Config) -> EndedStory:
    situations = [msgspec.structs.replace(each, notice="lost") for each in config.situation]
    return incoming(msgspec.structs.replace(config, situation=situations)).sound(CODE_S, digits("**2"))


NEVER: list[tuple[Callable[[Config], EndedStory], str]] = [
    (emergency, "emergency"),
    (emergency_behind_a_prefix, "emergency"),
    (emergency_behind_an_area_code, "emergency"),
    (emergency_with_a_key_too_many, "emergency"),
    (emergency_in_the_call, "emergency"),
    (colleague, "internal"),
    (unrecorded_colleague, "internal"),
    (unknown_number, "number_unknown"),
    (not_announced, "not_announced"),
    (before_the_announcement_is_over, "not_recording"),
    (announced_by_nobody, "not_announced"),
    (waiting, "another_party"),
    (after_a_flash, "another_party"),
    (after_a_flash_that_was_announced, "another_party"),
    (second_party, "another_party"),
    (walk_test, "walk_test"),
    (missing_notice, "notice_missing"),
]


@pytest.mark.parametrize(("story_of", "why"), NEVER, ids=lambda each: getattr(each, "__name__", ""))
def test_the_code_is_refused_and_that_is_said(
    config: Config, story_of: Callable[[Config], EndedStory], why: str
) -> None:
    story = story_of(config)
    end_s = story.seconds - 2
    kept = story.on_hook(end_s, story.seconds).tell(10)
    (refused,) = of(kept, "end_refused")
    assert (refused.why, refused.situation) == (why, "abuse")
    assert story.released == []
    assert not [notice for notice in story.asked if notice != "ko"], "not even its notice"
    record = kept.records[-1]
    assert (record.end, kinds(record)) == (msgspec.UNSET, ["abuse", "end_refused"])
    assert not list(of(kept, "ending"))


@pytest.mark.parametrize("at_s", [5.8, 6.0, 6.4, 6.9, 7.0, 7.4])
@pytest.mark.parametrize("dbm0", [-16.0, -22.0])
def test_a_call_that_begins_to_wait_under_the_notice_is_heard(config: Config, at_s: float, dbm0: float) -> None:
    """Once, and no louder than the returned notice. The notice plays from 5.7 to 7.7 s."""
    tone = call_waiting() * 10 ** ((dbm0 + 16) / 20)
    story = incoming(config, end_s=18).sound(CODE_S, digits("**2")).sound(at_s, tone)
    kept = story.tell(10)
    assert [event.why for event in of(kept, "end_refused")] == ["another_party"]
    assert story.released == []


def test_a_call_that_is_picked_up_under_the_notice_is_heard(config: Config) -> None:
    """Ringback: the PBX or staff have transferred the call."""
    story = incoming(config, end_s=20).sound(CODE_S, digits("**2")).sound(6.2, ringback(1))
    kept = story.tell(10)
    assert [event.why for event in of(kept, "end_refused")] == ["another_party"]
    assert story.released == []


@pytest.mark.parametrize(("level", "mark"), [(FAR_DBM0, "end_far"), (-13.0, "end_far")])
def test_the_far_end_ends_nothing_however_often_it_tries(config: Config, level: float, mark: str) -> None:
    story = incoming(config, end_s=20)
    for n in range(8):
        story.sound(4.8 + n, digits("**2", level))
    kept = story.sound(14, digits("**9")).tell(10)
    (record,) = kept.records
    assert kinds(record) == [mark] * 4 + ["abuse"], "and leaves room for the marks of staff"
    assert (story.asked, story.released) == (["ko"], [])


def test_a_telephone_that_nobody_has_learnt_ends_nothing(config: Config) -> None:
    story = incoming(config, end_s=14).sound(CODE_S, digits("**2"))
    story.recorder.update_learned({})
    story.until(10)
    assert "mark_far" in story.recorder.line_states()[0].troubles, "and the desk is told how to teach it"
    (record,) = story.tell(10).records
    assert (kinds(record), record.end, story.released) == (["end_uncertain"], msgspec.UNSET, [])


def test_after_the_caller_has_hung_up_a_code_only_marks(config: Config) -> None:
    from sounds import busy

    story = incoming(config, end_s=16, seconds=20).sound(5.0, busy(4.4)).sound(11, digits("**2"))
    kept: Kept = story.tell(10)
    (record,) = kept.records
    assert (record.ended_by, kinds(record), list(of(kept, "end_refused"))) == ("tone", ["abuse"], [])


def test_a_restarted_call_time_does_not_forget_what_was_ended(config: Config) -> None:
    """At the longest length the record is sealed and the next one continues: the end is in the first, once."""
    story = incoming(recording(config, longest_call_s=9), answer="voice", end_s=24, seconds=27)
    story.contact.most_ms = 0
    kept = story.sound(4.0, digits("**2")).sound(18, digits("**2")).tell(10)
    first, second = kept.records[:2]
    assert (first.ended_by, first.end is not msgspec.UNSET, second.end) == ("time_limit", True, msgspec.UNSET)
    assert [event.why for event in of(kept, "end_refused")] == ["not_released", "ended_already"]
    assert len(story.released) == 1
    assert [record.retention.class_ for record in kept.records if record.retention] == ["abuse"] * len(kept.records)
