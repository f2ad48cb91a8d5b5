# SPDX-License-Identifier: Apache-2.0
"""The notice of an incoming call does not overlap the greeting of the answering person."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from call_rig import Kept, Story

from linetap.config.numbers import GreetingNumbers
from linetap.config.schema import Config
from linetap.notices import notices_of
from linetap.recorder.signals.notice.greeting import greeting_end, has_speech
from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import Tones
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_core.clock import parse_rfc3339
from unit_rig import make_unit

GREETINGS = (
    "네, 민원실입니다.",
    "네, 시청 민원실 김민수입니다.",
    "감사합니다. 민원여권과 이영희입니다.",
    "여보세요.",
    "네.",
)
ANSWER_S = 1.5
NUMBERS = GreetingNumbers()
PAUSE_S, LEAD_S = NUMBERS.pause_ms / 1000, NUMBERS.lead_ms / 1000


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    whole = make_unit(tmp_path, run_dir).config
    return msgspec.structs.replace(whole, recording=msgspec.structs.replace(whole.recording, greeting_max_ms=5000))


def said(text: str, dbm0: float = -16.0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The spoken text without silence at its ends."""
    samples = Voices(default_folder()).say(text, "ko", "staff") * 10 ** ((dbm0 + 16) / 20)
    loud = np.flatnonzero(np.abs(samples) > 100)
    return np.asarray(samples[loud[0] : loud[-1] + 1], np.float64)


def call_in(config: Config, end_s: float = 14.0) -> Story:
    return Story(config, end_s + 3, noise_peak=30).ring(0.5, 1.4).off_hook(ANSWER_S, end_s)


def notice_s(kept: Kept) -> float:
    """The begin of the notice, after the answer."""
    (record,) = kept.records
    assert record.notice is not None
    assert record.answered_at is not None
    assert (record.disposition, record.notice.began_after_answer) == ("recorded", True)
    return (parse_rfc3339(record.notice.started_at) - parse_rfc3339(record.answered_at)) / 1e9


@pytest.mark.parametrize("greeting", GREETINGS)
@pytest.mark.parametrize(("begins_s", "dbm0"), [(0.3, -10.0), (1.1, -24.0)])
def test_the_notice_begins_behind_the_greeting(config: Config, greeting: str, begins_s: float, dbm0: float) -> None:
    sound = said(greeting, dbm0)
    began = notice_s(call_in(config).sound(ANSWER_S + begins_s, sound).tell())
    after_greeting_s = began - begins_s - len(sound) / RATE_HZ
    assert 0 <= after_greeting_s <= PAUSE_S + LEAD_S + 0.25  # speech fades out


def test_nobody_speaks_and_the_notice_comes_soon(config: Config) -> None:
    assert notice_s(call_in(config).tell()) == pytest.approx(0.035 + NUMBERS.begins_ms / 1000 + LEAD_S, abs=0.06)


def test_somebody_speaks_on_and_on_and_the_notice_comes_all_the_same(config: Config) -> None:
    sound = np.tile(said("민원여권과 이영희입니다"), 6)
    assert notice_s(call_in(config).sound(ANSWER_S + 0.2, sound).tell()) == pytest.approx(5.035, abs=0.06)


def test_the_noise_of_a_handset_is_no_greeting(config: Config) -> None:
    click = np.random.default_rng(1).normal(0, 4000, 240)
    began = notice_s(
        call_in(config).sound(ANSWER_S + 0.1, click).sound(ANSWER_S + 0.9, said("네, 민원실입니다.")).tell()
    )
    assert began > 0.9 + 1.2


@pytest.mark.parametrize("kind", ["noise", "hum"])
def test_a_line_that_is_never_quiet(config: Config, kind: str) -> None:
    """Noise of -35 dBm0 or hum does not count as speech, nor does it mask speech."""
    n = 12 * RATE_HZ
    sound = np.random.default_rng(2).normal(0, 410, n) if kind == "noise" else Tones([(120.0, -30.0)], n).render(0, n)
    silent = notice_s(call_in(config).sound(0.0, sound).tell())
    greeted = notice_s(call_in(config).sound(0.0, sound).sound(ANSWER_S + 0.5, said("네, 민원실입니다.")).tell())
    assert silent == pytest.approx(0.035 + NUMBERS.begins_ms / 1000 + LEAD_S, abs=0.06)
    assert 0.5 + 1.2 <= greeted <= 0.5 + 2.6


def test_nothing_of_the_greeting_is_recorded(config: Config) -> None:
    kept = call_in(config).sound(ANSWER_S + 0.3, said("네, 민원실입니다.")).tell()
    ((_, _, first),) = kept.opened
    assert first == pytest.approx((ANSWER_S + notice_s(kept)) * RATE_HZ, abs=RATE_HZ // 100)


def test_whoever_hangs_up_within_the_greeting_is_not_recorded(config: Config) -> None:
    kept = call_in(config, 2.2).sound(ANSWER_S + 0.2, said("네, 민원실입니다.")).tell()
    assert [(record.disposition, record.why) for record in kept.records] == [("discarded", "ended_before_notice")]


@pytest.mark.parametrize("slots", [1, 7, 25])
def test_however_the_line_is_followed_the_notice_begins_at_the_same_moment(config: Config, slots: int) -> None:
    def began(batch_slots: int) -> float:
        return notice_s(call_in(config).sound(ANSWER_S + 0.4, said("네, 민원실입니다.")).tell(batch_slots))

    assert began(slots) == began(10)


def test_the_greeting_ends_where_a_pause_of_its_own_length_follows() -> None:
    quiet = np.zeros(RATE_HZ, np.int16)
    spoken = said("네, 민원실입니다.").astype(np.int16)
    heard = np.concatenate([quiet, spoken, quiet, spoken, quiet])
    end = greeting_end(heard, NUMBERS)
    assert end is not None
    assert 0 <= end - len(quiet) <= len(spoken)
    assert greeting_end(heard[: len(quiet) + len(spoken) // 2], NUMBERS) is None
    assert [has_speech(audio, NUMBERS) for audio in (heard, quiet, quiet[:3])] == [True, False, False]


def test_a_call_with_a_tone_before_its_notice_is_proven_by_the_words(config: Config) -> None:
    toned = msgspec.structs.replace(config, recording=msgspec.structs.replace(config.recording, notice_tone_ms=300))
    story = call_in(toned)
    story.card.notices.update(notices_of(toned))
    (record,) = story.tell().records
    assert record.notice is not None
    assert (record.notice.proof, record.notice.score) == ("full", 1.0)
    ended, started = record.notice.ended_at, record.notice.started_at
    assert ended is not None
    assert (parse_rfc3339(ended) - parse_rfc3339(started)) / 1e6 == 1000 + 300 + 150
