# SPDX-License-Identifier: Apache-2.0
"""A call ended by a code of staff: its notice, its proof, the release of the line, and its record."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec
import pytest
from call_rig import Kept
from ending_rig import (
    CODE_S,
    CODES,
    NAMES,
    NOTICE_S,
    ONHOOK_MS,
    Answer,
    EndedStory,
    at,
    ending_config,
    frame_of,
    incoming,
    kinds,
    notice_of,
    of,
    only,
    outgoing,
)
from sounds import busy, digits, talk

from linetap.config.schema import Config
from linetap.learned import Learned
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ, SLOT_FRAMES
from linetap_core.records import CallRecord, EndRecord

OUT_CODE_S = 12.0


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    return ending_config(tmp_path, run_dir)


@pytest.fixture
def without(tmp_path: Path, run_dir: Path) -> Config:
    return ending_config(tmp_path, run_dir, contacts=False)


def end_of(record: CallRecord) -> EndRecord:
    assert isinstance(record.end, EndRecord)
    return record.end


def staff_hang_up(story: EndedStory, put_down_s: float) -> Kept:
    story.on_hook(put_down_s, story.seconds)
    return story.tell(10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["station", "trunk"])
@pytest.mark.parametrize("contacts", [True, False])
def test_every_situation_ends_a_call_on_every_kind_of_line(
    tmp_path: Path, run_dir: Path, name: str, kind: str, contacts: bool
) -> None:
    config = ending_config(tmp_path, run_dir, contacts=contacts)
    code_s = CODE_S if kind == "station" else OUT_CODE_S
    story = incoming(config) if kind == "station" else outgoing(config)
    story.sound(code_s, digits(CODES[name]))
    kept = story.tell(10) if contacts else staff_hang_up(story, code_s + 5)
    record = only(kept)
    end = end_of(record)
    assert (end.situation, end.by, kinds(record)) == (name, "code", [name])
    assert end.notice is not None
    assert (end.notice.id, end.notice.proof) == (notice_of(name), "full")
    assert len(record.notices) == 1, "an announcement is one thing, the notice of an end another"
    assert record.retention is not None
    assert record.retention.class_ == ("abuse" if name == "abuse" else "marked")
    marked, ending, ended = (next(of(kept, event)) for event in ("marked", "ending", "ended"))
    assert (marked.mark, marked.situation, ending.situation, ended.situation) == (name,) * 4
    assert ended.seen_by == end.seen_by
    if contacts:
        ((line, asked, _),) = story.released
        assert (record.ended_by, end.seen_by, line) == ("released", "dial_tone", 1)
        assert record.ended_at == end.released_at
        notice_end = frame_of(end.notice.ended_at)
        assert notice_end < asked / RATE_HZ < frame_of(record.ended_at)
        assert frame_of(record.ended_at) + ONHOOK_MS / 1000 - notice_end < 2, "the exchange has on-hook within 2 s"
    else:
        assert (record.ended_by, end.seen_by, end.released_at) == ("staff_after_notice", "staff", None)
        assert record.ended_at == at(code_s + 5)
        assert story.released == []


def test_the_notice_begins_within_400_ms_of_the_last_digit(config: Config) -> None:
    """In frames of the ring, from the beginning of the digit: batches of 40 ms, as in operation, at every phase."""
    ms = []
    for n, name in enumerate(NAMES * 2):
        record = only(incoming(config).sound(CODE_S + n * 0.017, digits(CODES[name])).tell(4))
        notice = end_of(record).notice
        assert notice is not None
        ms.append(round(1000 * (frame_of(notice.started_at) - frame_of(end_of(record).code_at))))
    assert median(ms) < 400
    assert max(ms) < 400


def test_the_recording_goes_on_up_to_the_release_and_no_further(config: Config) -> None:
    story = incoming(config).sound(CODE_S, digits("**2"))
    kept = story.tell(10)
    ((call_id, end_frame, record),) = kept.closed
    assert end_frame is not None
    assert at(end_frame / RATE_HZ) == record.ended_at
    assert kept.withheld[call_id] == []
    assert max(kept.permitted[call_id]) <= end_frame


def test_what_a_lifted_handset_does_after_the_release_is_no_part_of_the_call(config: Config) -> None:
    story = incoming(config, end_s=30, seconds=33).sound(CODE_S, digits("**2")).until(14)
    assert story.recorder.memories()[1].state == "held"
    assert len(story.vault.records) == 1
    story.sound(16, digits("0212345678")).reverse(20, 29)
    first, second = story.tell(10).records
    assert (first.ended_by, second.direction, second.dialled) == ("released", "out", "0212345678")


def test_staff_who_put_the_handset_down_meanwhile_leave_an_idle_line(config: Config) -> None:
    record = only(staff_hang_up(incoming(config).sound(CODE_S, digits("**2")), 9.0))
    assert (record.ended_by, end_of(record).seen_by) == ("released", "idle_voltage")
    assert end_of(record).released_at == record.ended_at


@pytest.mark.parametrize("ms", range(-300, 301, 60))
def test_staff_who_hang_up_before_the_notice_of_an_end_begins_have_ended_the_call_themselves(
    config: Config, ms: int
) -> None:
    """`ms` counts from its beginning."""
    begins = end_of(only(incoming(config).sound(CODE_S, digits("**2")).tell(10))).notice
    assert begins is not None
    record = only(staff_hang_up(incoming(config).sound(CODE_S, digits("**2")), frame_of(begins.started_at) + ms / 1000))
    if ms <= 0:
        assert (record.ended_by, record.end) == ("on_hook", msgspec.UNSET)
    else:
        notice = end_of(record).notice
        assert notice is not None
        assert record.ended_at is not None
        assert notice.started_at <= record.ended_at


@pytest.mark.parametrize(
    ("answer", "seen_by"), [("dial", "dial_tone"), ("busy", "busy_tone"), ("nothing", "idle_voltage")]
)
def test_the_strongest_evidence_of_the_release_counts(config: Config, answer: Answer, seen_by: str) -> None:
    story = incoming(config, answer=answer).sound(CODE_S, digits("**2"))
    record = only(story.tell(10))
    assert (record.ended_by, end_of(record).seen_by) == ("released", seen_by)


def test_a_caller_who_is_still_there_was_not_released_and_is_not_tried_again(config: Config) -> None:
    """As on a trunk whose exchange waits longer: the recording continues through the opening, and staff hang up."""
    story = (
        incoming(config, answer="voice", seconds=29)
        .sound(CODE_S, digits("**2"))
        .sound(10.2, talk(6))
        .sound(18, digits("**2"))
    )
    kept = staff_hang_up(story, 25.0)
    record = only(kept)
    assert (record.ended_by, record.ended_at) == ("staff_after_notice", at(25.0))
    assert (end_of(record).seen_by, end_of(record).released_at is not None) == ("none", True)
    assert [event.why for event in of(kept, "end_refused")] == ["not_released", "ended_already"]
    assert len(story.released) == 1
    assert kept.closed[0][1] == 25 * RATE_HZ


@pytest.mark.parametrize(("most_ms", "why"), [(0, "not_released"), (500, "not_released")])
def test_a_contact_that_does_not_open_or_closes_too_early_is_said(config: Config, most_ms: int, why: str) -> None:
    story = incoming(config).sound(CODE_S, digits("**2"))
    story.contact.most_ms = most_ms
    kept = staff_hang_up(story, 20.0)
    record = only(kept)
    assert (record.ended_by, end_of(record).seen_by, end_of(record).released_at) == ("staff_after_notice", "none", None)
    assert [event.why for event in of(kept, "end_refused")] == [why]
    assert len(story.released) == 1


def test_without_capture_staff_hang_up(config: Config) -> None:
    story = incoming(config).sound(CODE_S, digits("**2")).until(7.6)
    story.card.absent = True
    kept = staff_hang_up(story, 12.0)
    record = only(kept)
    assert (record.ended_by, end_of(record).seen_by) == ("staff_after_notice", "staff")
    assert [event.why for event in of(kept, "end_refused")] == ["peer_absent"]


def test_a_line_whose_exchange_does_not_release_is_not_opened(config: Config) -> None:
    story = incoming(config).sound(CODE_S, digits("**2"))
    story.recorder.update_learned({1: Learned(near_digit_dbm0=-8.0, learned_at=at(-60), release_ms=0)})
    record = only(staff_hang_up(story, 12.0))
    assert (record.ended_by, story.released) == ("staff_after_notice", [])


def test_a_slow_exchange_gets_a_longer_opening_within_the_cards_bound(config: Config) -> None:
    for measured, ms in ((None, 1700), (1700, 1700), (2000, 2000)):
        story = incoming(config).sound(CODE_S, digits("**2"))
        story.recorder.update_learned({1: Learned(near_digit_dbm0=-8.0, learned_at=at(-60), release_ms=measured)})
        story.tell(10)
        assert [opened for _, _, opened in story.released] == [ms]


def test_a_line_that_staff_release_is_not_opened(config: Config) -> None:
    lines = [msgspec.structs.replace(config.line[0], release="staff"), *config.line[1:]]
    story = incoming(msgspec.structs.replace(config, line=lines)).sound(CODE_S, digits("**2"))
    assert only(staff_hang_up(story, 12.0)).ended_by == "staff_after_notice"
    assert story.released == []


def test_each_line_says_how_its_calls_are_ended(config: Config, without: Config) -> None:
    def said(of: Config, *never: int, **second: object) -> list[str | None]:
        """`never`: lines whose exchange was measured not to release. `second`: of the second line."""
        lines = [of.line[0], msgspec.structs.replace(of.line[1], **second), *of.line[2:]]
        recorder = incoming(msgspec.structs.replace(of, line=lines)).recorder
        recorder.update_learned({number: Learned(learned_at=at(-60), release_ms=0) for number in never})
        return [line.release for line in recorder.line_states()[:2]]

    assert said(config) == ["contact", "contact"]
    assert said(config, 1, 2, release="staff") == ["exchange", "staff"]
    assert said(config, exempt=True) == ["contact", None]
    assert said(without, 1, release="staff") == ["no_contact", "no_contact"]
    assert said(msgspec.structs.replace(config, situation=[])) == [None, None]


def test_a_situation_may_only_warn_or_only_mark(config: Config) -> None:
    situations = [
        msgspec.structs.replace(each, then="warn" if each.name == "abuse" else "nothing") for each in config.situation
    ]
    story = incoming(msgspec.structs.replace(config, situation=situations))
    kept = staff_hang_up(story.sound(CODE_S, digits("**2")).sound(12, digits("**4")), 20.0)
    record = only(kept)
    assert (record.ended_by, record.end, kinds(record)) == ("on_hook", msgspec.UNSET, ["abuse", "warned", "threat"])
    (warned,) = of(kept, "warned")
    assert (warned.situation, warned.notice, warned.proof) == ("abuse", "end-abuse", "full")
    assert story.asked == ["ko", "end-abuse"]
    assert story.released == []


# --- events during the notice ----------------------------------------------------------------------------------------


def playing(config: Config, end_s: float = 20.0) -> EndedStory:
    """A story whose notice plays from 5.7 to 7.7 s."""
    return incoming(config, end_s=end_s).sound(CODE_S, digits("**2"))


def test_a_key_of_staff_stops_the_notice(config: Config) -> None:
    story = playing(config).sound(6.6, digits("5"))
    kept = story.tell(10)
    record = only(kept)
    assert (record.end, record.ended_by, kinds(record)) == (msgspec.UNSET, "on_hook", ["abuse", "end_cancelled"])
    assert [event.situation for event in of(kept, "end_cancelled")] == ["abuse"]
    assert story.released == []
    assert record.retention is not None
    assert record.retention.class_ == "abuse", "staff have named what happened; it stays so"


def test_after_a_stop_the_call_can_be_ended_again(config: Config) -> None:
    story = playing(config, end_s=40.0).sound(6.6, digits("5")).sound(12.0, digits("**4"))
    record = only(story.tell(10))
    assert (record.ended_by, end_of(record).situation) == ("released", "threat")
    assert len(story.released) == 1


def test_a_flash_of_staff_stops_the_notice(config: Config) -> None:
    story = playing(config).on_hook(6.5, 6.9)
    record = only(story.tell(10))
    assert (record.end, kinds(record), story.released) == (msgspec.UNSET, ["abuse", "end_cancelled"], [])


@pytest.mark.parametrize("pressed", ["5", "**2", "**9"])
def test_keys_of_the_far_end_stop_nothing(config: Config, pressed: str) -> None:
    story = playing(config).sound(6.4, digits(pressed, -20.0))
    record = only(story.tell(10))
    assert record.ended_by == "released"
    assert "end_cancelled" not in kinds(record)


def test_a_call_that_waits_stops_the_notice(config: Config) -> None:
    """On-hook would make the PBX connect the first party's line to the second."""
    story = playing(config).until(6.5)
    line = story.recorder._cards[1].lines[0]
    line._handle(Event(6 * RATE_HZ, "tone", 6 * RATE_HZ, "call_waiting"))
    kept = story.tell(10)
    assert [event.why for event in of(kept, "end_refused")] == ["another_party"]
    assert story.released == []


def test_staff_who_hang_up_in_the_middle_have_ended_it_themselves(config: Config) -> None:
    record = only(staff_hang_up(playing(config), 6.7))
    notice = end_of(record).notice
    assert notice is not None
    assert (record.ended_by, notice.ended_at, notice.proof) == ("on_hook", at(6.7), "partial")
    assert (end_of(record).seen_by, end_of(record).released_at) == ("none", None)


def test_staff_who_hang_up_just_before_the_end_of_the_notice_are_not_taken_for_the_contact(config: Config) -> None:
    """The open loop is certain only a second later, when the contact would be requested to open."""
    for put_down_s, ended_by in ((7.6, "on_hook"), (7.9, "staff_after_notice")):
        story = playing(config)
        record = only(staff_hang_up(story, put_down_s))
        assert (record.ended_by, end_of(record).released_at, story.released) == (ended_by, None, [])


def test_a_caller_who_hangs_up_after_the_notice_has_freed_the_line(without: Config) -> None:
    story = incoming(without, end_s=19).sound(CODE_S, digits("**2")).sound(8.5, busy(10))
    record = only(story.tell(10))
    assert (record.ended_by, end_of(record).seen_by) == ("tone", "busy_tone")


def test_a_notice_that_nobody_could_hear_releases_nothing(config: Config) -> None:
    story = playing(config).until(5.3)
    story.card.return_nothing()
    kept = story.tell(10)
    record = only(kept)
    notice = end_of(record).notice
    assert notice is not None
    assert (notice.proof, record.ended_by) == ("absent", "staff_after_notice")
    assert [event.why for event in of(kept, "end_refused")] == ["notice_not_heard"]
    assert story.released == []


def test_a_caller_who_shouts_over_the_notice_is_released(config: Config) -> None:
    record = only(playing(config).sound(5.6, talk(4, dbm0=-6.0)).tell(10))
    notice = end_of(record).notice
    assert notice is not None
    assert (record.ended_by, notice.proof) == ("released", "full")


def test_a_notice_that_breaks_off_is_played_once_more_and_then_given_up(config: Config) -> None:
    for breaks, ended_by in (([6.5], "released"), ([6.5, 7.5], "on_hook")):
        story = playing(config)
        for seconds in breaks:
            story.until(seconds).card.stop(1)
        kept = story.tell(10)
        assert only(kept).ended_by == ended_by
        assert story.asked == ["ko", "end-abuse", "end-abuse"]
        assert [event.why for event in of(kept, "end_refused")] == (["notice_failed"] if len(breaks) == 2 else [])


def test_the_desk_is_alerted_while_a_call_is_being_ended(config: Config) -> None:
    story = playing(config).until(5.2)
    assert story.recorder.line_states()[0].troubles == []
    story.until(6.0)
    state = story.recorder.line_states()[0]
    assert (state.troubles, state.state) == (["call_marked", "call_ending"], "notice")
    story.until(20)
    assert story.recorder.line_states()[0].troubles == []


def test_a_notice_lasts_as_long_as_the_rig_says(config: Config) -> None:
    notice = end_of(only(playing(config).tell(10))).notice
    assert notice is not None
    assert round(frame_of(notice.ended_at) - frame_of(notice.started_at), 3) == NOTICE_S


def test_nobodys_call_is_ended_after_a_long_gap(config: Config) -> None:
    """In the gap staff may have hung up and dialled 119."""
    story = incoming(config, end_s=25, seconds=28).sound(CODE_S, digits(CODES["abuse"]))
    record = only(story.gap(CODE_S + 2.5, CODE_S + 8.5).tell())
    assert story.released == []
    assert next(of(story.vault, "end_refused")).why == "another_party"
    assert [notice.proof for notice in record.notices] == ["full", "full"]


def test_a_contact_that_was_due_is_not_opened_after_a_long_gap(config: Config) -> None:
    """The recorder is a second behind when the notice is proven, and capture has died meanwhile."""
    story = incoming(config, end_s=25, seconds=28).sound(CODE_S, digits(CODES["abuse"]))
    story.contact.behind = RATE_HZ
    while story.recorder.memories()[1].state != "end_opens":
        assert story.step(4)
    now_s = story.card._position * SLOT_FRAMES / RATE_HZ
    story.contact.behind = 0
    record = only(story.gap(now_s, now_s + 6).tell())
    assert story.released == []
    assert next(of(story.vault, "end_refused")).why == "another_party"
    assert [notice.proof for notice in record.notices] == ["full", "full"]
