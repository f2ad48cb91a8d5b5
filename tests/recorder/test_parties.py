# SPDX-License-Identifier: Apache-2.0
"""Events in a recorded call: the far end hangs up, another party joins, the staff mark it."""

from __future__ import annotations

import msgspec
import pytest
from call_rig import START_NS, Kept, Story
from sounds import FAR_DBM0, NEAR_DBM0, busy, call_waiting, dial, digits, ringback, talk

from linetap.config.profile import Profile
from linetap.config.schema import Config, RetentionClass
from linetap.learned import Learned
from linetap.ring import RATE_HZ
from linetap_core.clock import NS_PER_MS, rfc3339
from linetap_core.records import CallRecord, LineState

ANSWER_S = 1.5
RECORDED_S = 2.035  # begin of the notice and of the recording
TALK_S = 3.2  # after the end of the notice


def at(seconds: float) -> str:
    return rfc3339(START_NS + round(seconds * 1000) * NS_PER_MS)


def policy(config: Config, **changes: object) -> Config:
    return msgspec.structs.replace(config, recording=msgspec.structs.replace(config.recording, **changes))


def recorded(config: Config, end_s: float, seconds: float) -> Story:
    """An incoming call on a line with a learnt telephone; its recording begins at RECORDED_S."""
    story = Story(config, seconds, noise_peak=30).ring(0.5, 1.4).off_hook(ANSWER_S, end_s)
    story.recorder.update_learned({1: Learned(near_digit_dbm0=NEAR_DBM0, learned_at=at(-60))})
    return story


def one(kept: Kept) -> tuple[CallRecord, int]:
    """The one call: its record, and the length of its recording in frames."""
    ((call_id, end_frame, record),) = kept.closed
    assert end_frame is not None
    ((_, _, first),) = [entry for entry in kept.opened if entry[0] == call_id]
    assert max(kept.permitted[call_id]) <= end_frame
    return record, end_frame - first


# --- a gap in the captured audio ------------------------------------------------------------------------------------


def test_who_called_within_a_long_gap_is_announced_to_before_anything_more_is_recorded(config: Config) -> None:
    """The first caller has hung up and another was answered while capture was dead."""
    story = recorded(config, 40, 43).sound(TALK_S, talk(2)).on_hook(8, 12).ring(10, 11).sound(20, talk(4))
    record, _ = one(kept := story.gap(7, 15).tell())
    assert [notice.proof for notice in record.notices] == ["full", "full"]
    assert record.party_unknown is True
    on_hook_is_certain = 15 * RATE_HZ + RATE_HZ * 3 // 2
    assert kept.withheld[record.call_id] == [(15 * RATE_HZ, on_hook_is_certain)]


@pytest.mark.parametrize("gap_s", [0.5, 3.0, 4.75])
def test_a_gap_too_short_for_another_call_is_not_announced_after(config: Config, gap_s: float) -> None:
    record, _ = one(recorded(config, 30, 33).sound(TALK_S, talk(2)).gap(7, 7 + gap_s).tell())
    assert (len(record.notices), record.party_unknown) == (1, msgspec.UNSET)


def test_a_gap_of_minutes_ends_the_recording_and_a_voice_after_it_begins_another(config: Config) -> None:
    """A codec that is away for days would fill the disk with silence, for every line in use."""
    config = msgspec.structs.replace(config, profile=[Profile(name="short", gap_end_s=8)])
    config = msgspec.structs.replace(
        config, line=[msgspec.structs.replace(line, profile="short") for line in config.line]
    )
    story = recorded(config, 40, 43).sound(TALK_S, talk(2)).sound(20, talk(4))
    first, second = (kept := story.gap(7, 15).tell()).closed
    assert first[1] == 7 * RATE_HZ
    assert (first[2].disposition, first[2].why) == ("recorded", "capture_restart")
    assert (second[2].disposition, second[2].continues) == ("recorded", first[0])
    assert [[notice.proof for notice in record.notices] for record in kept.records] == [["full"], ["full"]]


@pytest.mark.parametrize(("from_s", "to_s"), [(2.5, 15), (2.5, 3.75), (7.0, 15)])
def test_nothing_is_played_to_a_handset_that_was_put_down_in_the_gap(
    config: Config, from_s: float, to_s: float
) -> None:
    """During the notice or after it. The line may be ringing when the relay would close."""
    story = recorded(config, to_s - 0.5, 30).gap(from_s, to_s)
    assert len(story.tell().records) == 1
    assert not any(batch.notice.any() for batch in story.followed if batch.frame >= to_s * RATE_HZ)


def test_a_gap_after_the_far_end_hung_up_makes_the_end_final(config: Config) -> None:
    story = recorded(config, 40, 43).sound(TALK_S, talk(2)).sound(6, busy(3.75)).sound(18, talk(4))
    kept = story.gap(9.75, 15.75).tell()
    assert [record.ended_by for record in kept.records] == ["tone", "on_hook"]
    assert [[notice.proof for notice in record.notices] for record in kept.records] == [["full"], ["full"]]


def test_a_skipped_call_across_a_long_gap_says_that_the_party_is_unknown(config: Config) -> None:
    story = Story(config, 40, noise_peak=30).off_hook(1, 35).sound(2, digits("2345")).sound(4, ringback(1))
    (record,) = story.sound(8, talk(4)).gap(15, 21).tell().records
    assert (record.disposition, record.why, record.party_unknown) == ("skipped", "internal", True)


# --- the far end hangs up ------------------------------------------------------------------------------------


def test_busy_for_three_periods_ends_the_call_where_it_began(config: Config) -> None:
    record, length = one(recorded(config, 14.0, 17).sound(TALK_S, talk(2)).sound(6.0, busy(8)).tell())
    assert (record.ended_by, record.ended_at is not None and record.ended_at[:-3] == at(6.0)[:-3]) == ("tone", True)
    assert 3 * RATE_HZ <= length - (6 - RECORDED_S) * RATE_HZ <= 3.2 * RATE_HZ  # the tone that ended it is evidence


@pytest.mark.parametrize("takes_back", ["flash", "voice"])
def test_an_end_by_tone_is_taken_back(config: Config, takes_back: str) -> None:
    story = recorded(config, 20.0, 23).sound(TALK_S, talk(2)).sound(6.0, busy(4.4))
    if takes_back == "flash":
        story.on_hook(11.0, 11.5)
    else:
        story.sound(11.0, talk(6))
    record, length = one(story.tell())
    assert (record.ended_by, record.ended_at) == ("on_hook", at(20.0))
    assert length == round((20.0 - RECORDED_S) * RATE_HZ)


def test_a_short_word_into_the_busy_tone_takes_nothing_back(config: Config) -> None:
    record, _ = one(recorded(config, 14.0, 17).sound(6.0, busy(8)).sound(9.5, talk(0.8)).tell())
    assert record.ended_by == "tone"


def test_an_end_by_tone_is_final_after_a_while_and_a_voice_then_begins_a_record_of_its_own(config: Config) -> None:
    config = policy(config, tone_end_s=5)
    kept = recorded(config, 26.0, 29).sound(6.0, busy(4.4)).sound(16.0, talk(8)).tell()
    first, second = kept.records
    assert (first.ended_by, second.continues, second.ended_by) == ("tone", first.call_id, "on_hook")
    assert (second.disposition, second.answered_by, len(second.notices)) == ("recorded", "tone", 1)


def test_who_dials_after_the_dial_tone_came_again_makes_another_call(config: Config) -> None:
    story = recorded(config, 26.0, 29).sound(6.0, busy(4)).sound(10.5, dial(2)).sound(13.0, digits("0312345678"))
    first, second = story.sound(16.0, ringback(1)).sound(19.0, talk(3)).tell().records
    assert (first.ended_by, first.dialled) == ("tone", None)
    assert (second.direction, second.dialled, second.answered_by) == ("out", "0312345678", "tone")


def test_a_handset_off_its_cradle_is_not_announced_to(config: Config) -> None:
    """Dial tone, then busy, then silence: nothing was dialled and nobody is there."""
    kept = Story(config, 60, noise_peak=30).off_hook(1, 55).sound(1.2, dial(20)).sound(22, busy(10)).tell()
    assert [(r.disposition, r.why) for r in kept.records] == [("unanswered", "busy")]
    assert kept.opened == []


# --- another party --------------------------------------------------------------------------------------------


def second_notice(kept: Kept) -> tuple[CallRecord, list[tuple[int, int]]]:
    record, _ = one(kept)
    assert [notice.proof for notice in record.notices] == ["full", "full"]
    return record, list(kept.withheld[record.call_id])


def test_a_waiting_call_is_announced_to_before_it_is_recorded(config: Config) -> None:
    story = recorded(config, 18.0, 21).sound(TALK_S, talk(2)).sound(6.0, call_waiting()).on_hook(8.0, 8.5)
    record, withheld = second_notice(story.sound(9.0, talk(2)).tell())
    ((first, last),) = withheld
    assert first == 8 * RATE_HZ
    assert rfc3339(START_NS + last * 125_000) == record.notices[1].started_at


def test_a_flash_alone_brings_nobody(config: Config) -> None:
    record, _ = one(recorded(config, 12.0, 15).sound(TALK_S, talk(2)).on_hook(6.0, 6.5).tell())
    assert len(record.notices) == 1


def test_whoever_is_dialled_after_a_flash_is_announced_to(config: Config) -> None:
    story = recorded(config, 24.0, 27).on_hook(5.0, 5.5).sound(5.6, dial(0.8)).sound(6.5, digits("0312345678"))
    kept = story.sound(9.5, ringback(2)).sound(14.5, talk(3)).tell()
    record, ((first, last),) = second_notice(kept)
    assert 6.5 * RATE_HZ <= first <= 7 * RATE_HZ
    assert rfc3339(START_NS + last * 125_000) == record.notices[1].started_at
    assert record.dialled is None


def test_a_second_party_that_is_busy_was_never_there(config: Config) -> None:
    story = recorded(config, 24.0, 27).on_hook(5.0, 5.5).sound(6.5, digits("0312345678")).sound(9.5, busy(5))
    kept = story.on_hook(16.0, 16.5).sound(18.0, talk(3)).tell()
    record, _ = one(kept)
    assert len(record.notices) == 1
    ((first, last),) = kept.withheld[record.call_id]
    assert first <= 7 * RATE_HZ
    assert 16 * RATE_HZ < last < 17 * RATE_HZ


def test_a_second_party_whose_notice_cannot_be_played_stays_out_of_the_recording(config: Config) -> None:
    story = recorded(config, 18.0, 21).sound(6.0, call_waiting()).on_hook(8.0, 8.5)
    while story.card._position < 780:
        story.step(4)
    story.card.absent = True
    record, length = one(story.tell())
    assert (record.why, record.ended_at) == ("peer_absent", at(18.0))
    assert length == round((8 - RECORDED_S) * RATE_HZ)


def test_hanging_up_before_the_second_notice_ends_the_recording_at_the_flash(config: Config) -> None:
    record, length = one(recorded(config, 8.7, 12).sound(6.0, call_waiting()).on_hook(8.0, 8.5).tell())
    assert (record.disposition, record.ended_by) == ("recorded", "on_hook")
    assert length == round((8 - RECORDED_S) * RATE_HZ)


def test_a_colleague_called_in_between_is_not_recorded_and_the_caller_is_told_again(config: Config) -> None:
    story = recorded(config, 26.0, 29).on_hook(5.0, 5.5).sound(6.5, digits("2345")).sound(9.0, ringback(1))
    _, ((first, last),) = second_notice(story.sound(12.5, talk(4)).on_hook(18.0, 18.5).tell())
    assert first < 8 * RATE_HZ
    assert last > 18 * RATE_HZ


def test_a_waiting_call_during_one_that_is_skipped_is_a_call_of_its_own(config: Config) -> None:
    story = Story(config, 26, noise_peak=30).off_hook(1, 22).sound(2, digits("2345")).sound(4, ringback(1))
    kept = story.sound(7.5, talk(2)).sound(11, call_waiting()).on_hook(13, 13.5).sound(14, talk(3)).tell()
    assert [(r.disposition, r.why) for r in kept.records] == [("skipped", "internal"), ("recorded", "")]


# --- marks --------------------------------------------------------------------------------------------------


def test_the_mark_code_marks_and_keeps_longer(config: Config) -> None:
    classes = [RetentionClass(name="standard", days=60), RetentionClass(name="abuse", days=365)]
    config = msgspec.structs.replace(config, retention=msgspec.structs.replace(config.retention, classes=classes))
    kept = recorded(config, 12.0, 15).sound(TALK_S, talk(2)).sound(7.0, digits("**9")).tell()
    record, _ = one(kept)
    (mark,) = record.marks
    assert mark.kind == "abuse"
    assert 7 - RECORDED_S <= mark.at_s <= 8 - RECORDED_S
    assert record.retention is not None
    assert record.retention.class_ == "abuse"
    assert [event.mark for event in kept.events if event.event == "marked"] == ["abuse"]


def test_what_follows_a_marked_call_is_kept_as_long(config: Config) -> None:
    """The longest length splits a call: the marked part's class also applies to the next, its mark does not."""
    classes = [RetentionClass(name="standard", days=60), RetentionClass(name="abuse", days=365)]
    config = msgspec.structs.replace(config, retention=msgspec.structs.replace(config.retention, classes=classes))
    config = msgspec.structs.replace(config, recording=msgspec.structs.replace(config.recording, longest_call_s=5))
    kept = recorded(config, 16.0, 20).sound(TALK_S, talk(2)).sound(7.0, digits("**9")).tell()
    assert [len(record.marks) for record in kept.records] == [0, 1, 0, 0]
    assert [r.retention.class_ for r in kept.records if r.retention] == ["standard", "abuse", "abuse", "abuse"]


def test_the_far_end_cannot_mark(config: Config) -> None:
    story = recorded(config, 12.0, 15).sound(TALK_S, talk(2)).sound(7.0, digits("**9", FAR_DBM0))
    while story.card._position < 1000:
        story.step(4)
    assert troubles(story) == ["mark_far"]
    record, _ = one(story.tell())
    assert [mark.kind for mark in record.marks] == ["mark_far"]
    assert record.retention is not None
    assert record.retention.class_ == "standard"
    assert "marked" not in story.vault.names()


def test_a_loud_far_end_is_recognised_by_what_was_dialled_here(config: Config) -> None:
    """The line's own telephone was heard dialling at -4: a code at -13 is not its own."""
    story = Story(config, 26, noise_peak=30).off_hook(1, 22).sound(2, digits("0312345678", -4.0))
    kept = story.sound(6, ringback(1)).sound(9.5, talk(3)).sound(16, digits("**9", -13.0)).tell()
    assert [mark.kind for mark in kept.records[0].marks] == ["mark_far"]


def test_a_call_is_marked_after_the_caller_has_hung_up(config: Config) -> None:
    record, _ = one(recorded(config, 14.0, 17).sound(6.0, busy(4.4)).sound(11.0, digits("**9")).tell())
    assert (record.ended_by, [mark.kind for mark in record.marks]) == ("tone", ["abuse"])


def test_a_flash_before_the_mark_code_calls_nobody(config: Config) -> None:
    record, _ = one(recorded(config, 14.0, 17).on_hook(6.0, 6.5).sound(7.0, digits("**9")).tell())
    assert (len(record.notices), [mark.kind for mark in record.marks]) == (1, ["abuse"])


@pytest.mark.parametrize("pressed", ["**8", "*9", "9**", "*#*9"])
def test_other_keys_mark_nothing(config: Config, pressed: str) -> None:
    record, _ = one(recorded(config, 12.0, 15).sound(7.0, digits(pressed)).tell())
    assert record.marks == []


def test_the_warning_is_played_once(config: Config) -> None:
    config = policy(config, mark_notice="ko")
    story = recorded(config, 16.0, 19).sound(6.0, digits("**9")).sound(10.0, digits("**9"))
    record, _ = one(story.tell())
    assert len(record.marks) == 2
    assert notices_played(story) == 2  # the announcement and the warning


# --- limits ----------------------------------------------------------------------------------------------------


def test_the_desk_is_told_of_a_long_call_once_and_the_parties_may_be(config: Config) -> None:
    story = recorded(policy(config, recommended_call_s=5, end_notice="ko"), 14.0, 17)
    kept = story.tell()
    assert [event.at for event in kept.events if event.event == "call_time"] == [at(ANSWER_S + 5)]
    assert notices_played(story) == 2


def state_of(story: Story) -> LineState:
    return story.recorder.line_states()[0]


def troubles(story: Story) -> list[str]:
    return state_of(story).troubles


def notices_played(story: Story) -> int:
    """The number of notices that began on line 1, according to the slots."""
    tags = [int(tag) for batch in story.followed for tag in batch.notice[:, 0]]
    return sum(1 for before, after in zip([0, *tags], tags, strict=False) if after and not before)
