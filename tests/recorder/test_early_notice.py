# SPDX-License-Identifier: Apache-2.0
"""A notice before the answer: it is played again at the answer, and no record states it as heard in full."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from call_rig import Kept, Story
from sounds import digits, ringback, talk

from linetap.config.schema import Config
from linetap.ring import RATE_HZ
from linetap_core.records import CallRecord
from unit_rig import make_unit

# Lifted at 0.5 s, dialled at 1 s; nothing follows, so that at about 10.8 s the answer counts as unknown.
GUESS_S = 11.0


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    """Short limits, to keep the stories short."""
    return policy(make_unit(tmp_path, run_dir).config, answer_silence_s=8)


def policy(config: Config, **changes: object) -> Config:
    return msgspec.structs.replace(config, recording=msgspec.structs.replace(config.recording, **changes))


def outgoing(config: Config, end_s: float, seconds: float) -> Story:
    story = Story(config, seconds, noise_peak=30).off_hook(0.5, end_s)
    return story.sound(1.0, digits("0212345678"))


def only(kept: Kept) -> CallRecord:
    (record,) = kept.records
    return record


def proofs(record: CallRecord) -> list[tuple[str, object]]:
    return [(notice.proof, notice.began_after_answer) for notice in record.notices]


def test_a_guess_that_nothing_confirms_is_recorded_and_never_proven_in_full(config: Config) -> None:
    record = only(outgoing(config, 30.0, 33).sound(14.0, talk(14)).tell())
    assert (record.disposition, record.answered_by) == ("recorded", "unknown")
    assert proofs(record) == [("early", False)]


def test_an_answer_by_hook_or_by_the_end_of_ringback_is_after_the_answer(config: Config) -> None:
    story = outgoing(config, 24.0, 27).sound(4.0, ringback(2)).sound(8.9, talk(14))
    record = only(story.tell())
    assert record.answered_by == "tone"
    assert proofs(record) == [("full", True)]


@pytest.mark.parametrize("ringback_s", [GUESS_S - 0.2, GUESS_S + 0.3, GUESS_S + 4.0, GUESS_S + 12.0])
def test_ringback_after_a_guess_takes_the_guess_back(config: Config, ringback_s: float) -> None:
    """Before the notice, during it, soon after it and late: the answering party hears its own notice, and earlier audio
    is not recorded.
    """
    answer_s = ringback_s + 9.6
    story = outgoing(config, answer_s + 12, answer_s + 15)
    kept = story.sound(ringback_s, ringback(3)).sound(answer_s, talk(11)).tell()
    record = only(kept)
    assert (record.disposition, record.answered_by) == ("recorded", "tone")
    assert proofs(record)[-1] == ("full", True)
    assert all(proof != "full" and after is False for proof, after in proofs(record)[:-1])
    ((_, _, first),) = kept.opened
    assert first >= (ringback_s + 9) * RATE_HZ  # the missing burst, after the answer


def test_whoever_hangs_up_while_it_still_rings_leaves_an_unanswered_call(config: Config) -> None:
    kept = outgoing(config, 24.0, 27).sound(GUESS_S + 3, ringback(4)).tell()
    assert (only(kept).disposition, kept.opened) == ("unanswered", [])
    assert proofs(only(kept)) == [("early", False)]


def test_what_was_written_before_may_be_kept_and_is_flagged(config: Config) -> None:
    answer_s = 25.0
    kept_policy = policy(config, recorded_before_answer="keep_and_flag")
    story = outgoing(kept_policy, answer_s + 12, answer_s + 15)
    kept = story.sound(answer_s - 9.6, ringback(3)).sound(answer_s, talk(11)).tell()
    record = only(kept)
    assert (record.disposition, record.why) == ("recorded", "announced_before_answer")
    assert proofs(record) == [("early", False), ("full", True)]
    ((_, _, first),) = kept.opened
    assert first < 13 * RATE_HZ
    ((away, back),) = kept.withheld[record.call_id]  # from the first burst to the second notice
    assert away < 17.5 * RATE_HZ
    assert back > answer_s * RATE_HZ


def test_a_reversal_after_a_guess_is_the_answer_and_is_announced(config: Config) -> None:
    story = outgoing(config, 30.0, 33).reverse(18.0, 33.0).sound(18.2, talk(11))
    kept = story.tell()
    record = only(kept)
    assert record.answered_by == "polarity"
    assert proofs(record) == [("early", False), ("full", True)]
    ((_, _, first),) = kept.opened
    assert first >= 18 * RATE_HZ


def test_a_guess_that_has_stood_for_long_is_written_before_the_call_ends(config: Config) -> None:
    story = outgoing(policy(config, answer_doubt_s=10), 40.0, 43).sound(14.0, talk(25))
    while story.card._position < 2600:
        story.step(25)
    assert len(story.vault.opened) == 1
    assert len(story.vault.permitted) == 1
    assert only(story.tell()).disposition == "recorded"


def test_a_restart_while_it_is_in_doubt_changes_nothing(config: Config) -> None:
    def told(restart: bool) -> CallRecord:
        story = outgoing(config, 36.0, 39).sound(18.0, ringback(3)).sound(27.6, talk(8))
        while story.card._position < 1600:
            story.step(25)
        if restart:
            story.restart()
        return only(story.tell())

    assert told(True) == told(False)


def test_ringback_that_is_played_into_an_answered_line_costs_a_notice_each_time(config: Config) -> None:
    """Each time the missing burst means that somebody, perhaps another party, has answered."""
    story = outgoing(policy(config, answer_timeout_s=3, answer_silence_s=3), 80.0, 83)
    for n in range(6):
        story.sound(8.0 + 9 * n, ringback(1))
    record = only(story.tell())
    assert record.disposition == "recorded"
    assert len(record.notices) <= 1 + 6


def test_a_guess_about_a_second_party_says_nothing_of_the_first(config: Config) -> None:
    """The first party answered and heard its notice. A second is dialled, counted as answered, and only then rings."""
    story = outgoing(config, 60.0, 63).sound(4.0, ringback(2)).sound(8.9, talk(8))
    story.on_hook(18.0, 18.5).sound(19.5, digits("0319876543"))
    record = only(story.sound(33.0, ringback(3)).sound(42.6, talk(14)).tell())
    assert (record.answered_by, record.why) == ("tone", "")
    assert proofs(record)[0] == ("full", True)
    assert proofs(record)[-1] == ("full", True)
    assert ("early", False) in proofs(record)
