# SPDX-License-Identifier: Apache-2.0
"""A skipped call with another party on it: how the recorder detects that, and what staff can do."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from call_rig import Kept, Story
from msgspec.structs import replace
from sounds import NEAR_DBM0, busy, dial, digits, frames, music, ringback, talk

import config_file
from linetap.config import load_config
from linetap.config.schema import Config
from linetap.learned import Learned
from linetap.notices import beep_samples, tag_of
from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import pair
from linetap_core.errors import BadInput
from linetap_core.records import CallRecord
from unit_rig import make_unit

EXTENSION = "2101"


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    """Line 2 has the extension 2101, line 1 has 2100."""
    config = make_unit(tmp_path, run_dir).config
    first, second = config.line
    return replace(config, line=[replace(first, extension="2100"), replace(second, extension=EXTENSION)])


def policy(config: Config, **changes: object) -> Config:
    return replace(config, recording=replace(config.recording, **changes))


def internal(config: Config, seconds: float = 40) -> Story:
    """Line 1 calls a colleague of another floor: answered and skipped at about 8.5 s, on-hook at 35 s."""
    story = Story(config, seconds, noise_peak=30).off_hook(1, 35).sound(2, digits("2345"))
    return story.sound(4, ringback(1)).sound(8, talk(4))


def colleague_calls(config: Config, seconds: float = 40) -> Story:
    """The same in the other direction: the caller's number is a colleague's."""
    return Story(config, seconds, noise_peak=30).ring(3.5, 4.5).off_hook(5, 35).sound(1.0, digits("D2345C"))


def announced(kept: Kept, line: int = 1) -> CallRecord:
    """The one call of this line, recorded from its only notice on."""
    (record,) = [each for each in kept.records if each.line == line]
    assert (record.disposition, record.why, record.internal) == ("recorded", "", True)
    assert [notice.proof for notice in record.notices] == ["full"]
    return record


# --- the notice code --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [internal, colleague_calls])
def test_the_notice_code_has_a_skipped_call_announced_and_recorded(config: Config, story: object) -> None:
    made: Story = story(config)  # type: ignore[operator]
    record = announced(made.sound(15, digits("**1")).sound(20, talk(10)).tell())
    assert record.party_by == "key"
    assert record.party_unknown is msgspec.UNSET


def test_in_a_recording_it_plays_again_and_holds_the_writing_until_then(config: Config) -> None:
    story = Story(config, 30, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 26).sound(3.5, talk(3))
    story.recorder.update_learned({1: Learned(near_digit_dbm0=NEAR_DBM0, learned_at="2026-01-01T00:00:00.000Z")})
    kept = story.sound(10, digits("**1")).sound(15, talk(9)).tell()
    (record,) = kept.records
    assert [notice.proof for notice in record.notices] == ["full", "full"]
    ((first, last),) = kept.withheld[record.call_id]
    assert 10 * RATE_HZ < first < 11 * RATE_HZ < last < 12 * RATE_HZ
    assert record.party_by is msgspec.UNSET


def test_with_a_colleague_in_between_it_brings_the_caller_back(config: Config) -> None:
    """Three such calls at once: the line has a second party that is skipped."""
    story = Story(config, 40, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 36).sound(3.5, talk(2)).on_hook(8, 8.5)
    story.recorder.update_learned({1: Learned(near_digit_dbm0=NEAR_DBM0, learned_at="2026-01-01T00:00:00.000Z")})
    story.sound(9.5, digits("2345")).sound(12, ringback(1)).sound(15.5, talk(4)).sound(24, digits("**1"))
    (record,) = story.sound(29, talk(6)).tell().records
    assert (record.also_dialled, len(record.notices)) == (["2345"], 2)


def test_behind_a_flash_it_dials_nobody(config: Config) -> None:
    record = announced(internal(config).on_hook(15, 15.5).sound(16, digits("**1")).sound(20, talk(10)).tell())
    assert record.party_by == "key"


def test_an_emergency_call_stays_as_it_is(config: Config) -> None:
    story = Story(config, 40, noise_peak=30).off_hook(1, 35).sound(2, digits("119")).sound(4, ringback(1))
    (record,) = story.sound(8, talk(4)).sound(15, digits("**1")).sound(20, talk(10)).tell().records
    assert (record.disposition, record.why, record.notices) == ("skipped", "emergency", [])


def test_another_code_or_none_does_nothing(config: Config) -> None:
    story = internal(policy(config, notice_code="")).sound(15, digits("**1")).sound(20, talk(10))
    assert [record.disposition for record in story.tell().records] == ["skipped"]


@pytest.mark.parametrize("code", ["**9", "**", "*9", "**91"])
def test_two_codes_may_not_hold_each_other(config: Config, tmp_path: Path, code: str) -> None:
    file = config_file.write(tmp_path / "unit.toml", policy(config, notice_code=code))
    with pytest.raises(BadInput, match="one is within the other"):
        load_config(file)


# --- sounds of the line ------------------------------------------------------------------------------------------


def test_a_flash_behind_which_nobody_dials_brings_another_party(config: Config) -> None:
    record = announced(internal(config).on_hook(15, 15.5).sound(17, talk(14)).tell())
    assert record.party_by == "flash"


def test_a_recall_dial_tone_is_waited_out(config: Config) -> None:
    """The notice does not play into the dial tone."""
    story = internal(config).on_hook(15, 15.5).sound(15.6, dial(6.0)).sound(21.8, digits("2346"))
    first, second = story.sound(24, ringback(1)).sound(27.5, talk(4)).tell().records
    assert [(each.dialled, each.disposition, each.notices) for each in (first, second)] == [
        ("2345", "skipped", []),
        ("2346", "skipped", []),
    ]


def hiss(seconds: float, peak: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(5).uniform(-peak, peak, frames(seconds))


def test_a_far_end_that_sounds_otherwise_is_announced_and_the_record_says_it_is_not_known(config: Config) -> None:
    story = internal(config).sound(16, hiss(19, 90)).sound(22, talk(2)).sound(27, talk(3))
    record = announced(story.tell())
    assert (record.party_by, record.party_unknown) == ("channel", True)


def test_who_speaks_behind_the_music_of_a_held_call_is_announced_to(config: Config) -> None:
    record = announced(
        colleague_calls(config).sound(8, talk(3)).sound(13, music(4)).sound(17.5, talk(12, -22.0)).tell()
    )
    assert (record.party_by, record.party_unknown) == ("hold", True)


def test_music_behind_which_nobody_speaks_announces_nothing(config: Config) -> None:
    (record,) = colleague_calls(config).sound(8, talk(3)).sound(13, music(20)).tell().records
    assert record.disposition == "skipped"


def test_an_internal_call_stays_one(config: Config) -> None:
    (record,) = internal(config).sound(15, talk(4)).sound(22, talk(6)).tell().records
    assert (record.disposition, record.party_by, record.party_unknown) == ("skipped", msgspec.UNSET, msgspec.UNSET)


def consulted(config: Config, end_s: float) -> Story:
    """A citizen calls line 1, which flashes, calls line 2 and hangs up at `end_s`: the citizen is with line 2 now."""
    story = Story(config, 45, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, end_s).sound(3.5, talk(2)).on_hook(8, 8.4)
    story.sound(9.4, digits(EXTENSION)).sound(11, ringback(1)).ring(11, 12, line=2).off_hook(13, 42, line=2)
    return story.sound(14, talk(5)).sound(14, talk(5), line=2)


def test_a_call_that_a_line_of_the_unit_hands_on_is_announced_where_it_goes(config: Config) -> None:
    kept = consulted(config, 22).sound(26, talk(10), line=2).tell()
    record = announced(kept, line=2)
    assert (record.party_by, record.internal_by) == ("neighbour", "ring")
    first = next(each for each in kept.records if each.line == 1)
    assert (first.disposition, first.also_dialled) == ("recorded", [EXTENSION])


def test_a_colleague_who_only_asks_is_not(config: Config) -> None:
    story = consulted(config, 42).on_hook(20, 40, line=2)
    story.bits[0, 1, 20_000:] = False
    kept = story.on_hook(21, 21.4).sound(24, talk(6)).tell()
    assert [each.disposition for each in kept.records if each.line == 2] == ["skipped"]


# --- the far end has hung up, or a call waits ---------------------------------------------------------------------


def recorded(config: Config) -> Story:
    return Story(config, 40, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 36).sound(3.5, talk(4))


def test_dial_tone_behind_the_far_end_s_hang_up_ends_the_call(config: Config) -> None:
    (record,) = recorded(config).sound(10, dial(25)).tell().records
    assert (record.ended_by, record.ended_at is not None and record.ended_at[17:20]) == ("tone", "10.")


def test_what_is_dialled_into_it_is_another_call(config: Config) -> None:
    story = recorded(config).sound(10, dial(6)).sound(16, digits("0312345678")).sound(19, ringback(1))
    first, second = story.sound(23, talk(4)).tell().records
    assert (first.ended_by, second.direction, second.dialled, second.continues) == ("tone", "out", "0312345678", None)


def test_a_short_dial_tone_ends_nothing(config: Config) -> None:
    (record,) = recorded(config).sound(10, dial(2)).sound(13, talk(5)).tell().records
    assert record.ended_by == "on_hook"


def test_staff_may_still_mark_into_the_dial_tone(config: Config) -> None:
    story = recorded(config)
    story.recorder.update_learned({1: Learned(near_digit_dbm0=NEAR_DBM0, learned_at="2026-01-01T00:00:00.000Z")})
    (record,) = story.sound(10, dial(6)).sound(17, digits("**9")).tell().records
    assert (record.ended_by, [mark.kind for mark in record.marks]) == ("tone", ["abuse"])


def test_one_beep_of_call_waiting_is_enough(config: Config) -> None:
    one = pair((350.0, 440.0), -16.0, frames(0.25)).render(0, frames(0.25))
    (record,) = recorded(config).sound(10, one).on_hook(13, 13.5).sound(16, talk(5)).tell().records
    assert len(record.notices) == 2


def test_busy_in_a_call_still_ends_it(config: Config) -> None:
    (record,) = recorded(config).sound(10, busy(8)).tell().records
    assert record.ended_by == "tone"


# --- the recording beep -----------------------------------------------------------------------------------------


def beeps(story: Story) -> list[float]:
    """The begin of each beep, in seconds."""
    tag, found, before = tag_of(beep_samples(-16.0)), [], 0
    for batch in story.followed:
        for slot, now in enumerate(batch.notice[:, 0].tolist()):
            if now == tag != before:
                found.append(batch.frame / RATE_HZ + slot / 100)
            before = now
    return found


def test_the_beep_comes_every_fifteen_seconds_while_a_call_is_recorded(config: Config) -> None:
    story = (
        Story(policy(config, beep_every_s=15), 80, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 75).sound(4, talk(60))
    )
    (record,) = story.tell().records
    at = beeps(story)
    assert len(at) == 4
    assert all(abs(b - a - 15) < 0.5 for a, b in pairwise(at))
    assert [notice.proof for notice in record.notices] == ["full"]
    assert (record.disposition, record.marks) == ("recorded", [])


def test_its_sound_is_what_the_rule_asks_for() -> None:
    samples = beep_samples(-16.0).astype(np.float64)
    assert len(samples) == 0.2 * RATE_HZ
    hz = np.fft.rfftfreq(16 * len(samples), 1 / RATE_HZ)[np.abs(np.fft.rfft(samples, 16 * len(samples))).argmax()]
    assert abs(hz / 1400 - 1) < 0.015


def test_the_beep_hides_no_digit_and_is_no_voice(config: Config) -> None:
    """Staff dial the mark code just when the beep is due; and the beep does not count as a return of the caller."""
    story = Story(policy(config, beep_every_s=15), 60, noise_peak=30).off_hook(1, 55).sound(2, digits("0312345678"))
    story.sound(6, ringback(1)).sound(9.5, talk(5)).sound(25.4, digits("**9")).sound(40, busy(12))
    (record,) = story.tell().records
    assert ([mark.kind for mark in record.marks], record.ended_by) == (["abuse"], "tone")
    assert 24 < beeps(story)[0] < 27


def test_no_beep_by_default(config: Config) -> None:
    story = recorded(config)
    story.tell()
    assert beeps(story) == []
