# SPDX-License-Identifier: Apache-2.0
"""The missing burst of ringback: of the exchange and of PBXs that were not learnt, and with talk over it."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import TEXT

from linetap.config.profile import KR_PSTN
from linetap.recorder.calls.evidence.bursts import Bursts
from linetap.recorder.calls.evidence.windows import SPAN, STEP, Missing, windows_of
from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import F64, pair, rms_of
from linetap_bench.sounds.voices import MADE_DBM0, Voices, default_folder

KR = ((440.0, 480.0), (1000, 2000))
BEGINS_S = 1.0
NUMBERS = KR_PSTN.answer


def frames(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def ringing(hz: tuple[float, ...], cadence_ms: tuple[int, ...], until_s: float, more_s: float = 8.0) -> F64:
    """Ringback at -18 dBm0 from BEGINS_S on, followed by a quiet line."""
    line: F64 = np.random.default_rng(1).standard_normal(frames(until_s + more_s)) * rms_of(-65.0)
    n = frames(until_s) - frames(BEGINS_S)
    line[frames(BEGINS_S) : frames(until_s)] += pair(hz, -18.0, n, cadence_ms).render(0, n)
    return line


def talked_over(line: F64, dbm0: float, from_s: float, until_s: float) -> F64:
    """Continuous talk between the two times."""
    n = frames(until_s) - frames(from_s)
    said = Voices(default_folder()).say(TEXT, "ko", "staff").astype(float) * 10 ** ((dbm0 - MADE_DBM0) / 20)
    line[frames(from_s) : frames(until_s)] += np.resize(said, n)
    return line


def judged(line: F64) -> tuple[Missing, float] | None:
    """The missing burst, and the time of its detection."""
    bursts, audio = Bursts(), np.clip(line, -32768, 32767).astype(np.int16)
    for end in range(-(-SPAN // STEP) * STEP, len(audio), STEP):
        for window in windows_of(audio[end - SPAN : end], end, NUMBERS):
            bursts.follow(window, KR_PSTN.tone, NUMBERS)
        if (missing := bursts.missing(end, NUMBERS)) is not None:
            return missing, end / RATE_HZ
    return None


@pytest.mark.parametrize("until_s", [8.0, 8.6, 9.9])
@pytest.mark.parametrize("dbm0", [None, -36.0, -28.0, -20.0])
def test_an_answer_in_the_pause_is_known_at_the_missing_burst(dbm0: float | None, until_s: float) -> None:
    """The last burst ends at 8 s, the next is due at 10 s; the near end talks during all the ringing."""
    line = ringing(*KR, until_s)
    found = judged(line if dbm0 is None else talked_over(line, dbm0, 0.0, until_s))
    assert found is not None
    assert found[0].how == "burst_missing"
    assert 10.0 < found[1] <= 10.4


@pytest.mark.parametrize("dbm0", [None, -28.0, -20.0])
def test_an_answer_within_a_burst_is_known_at_once(dbm0: float | None) -> None:
    line = ringing(*KR, 7.4)
    found = judged(line if dbm0 is None else talked_over(line, dbm0, 7.4, 15.0))
    assert found is not None
    assert 7.4 < found[1] <= 8.0


PBX = [
    ((425.0,), (1000, 4000)), ((400.0, 450.0), (400, 200, 400, 2000)), ((440.0, 480.0), (2000, 4000)),
    ((450.0,), (1000, 4000)), ((480.0, 440.0), (400, 200, 400, 2000)), ((420.0, 440.0), (1500, 3000)),
    ((375.0, 425.0), (800, 2200)),
]  # fmt: skip


@pytest.mark.parametrize(("hz", "cadence_ms"), PBX)
def test_a_ringback_that_nobody_learnt_is_known_after_two(hz: tuple[float, ...], cadence_ms: tuple[int, ...]) -> None:
    period_s = sum(cadence_ms) / 1000
    rung_s = BEGINS_S + 3 * period_s
    found = judged(ringing(hz, cadence_ms, rung_s))
    assert found is not None
    assert rung_s < found[1] <= rung_s + 0.4
    assert judged(talked_over(ringing(hz, cadence_ms, 24.0, 0.0), -36.0, 0.0, 24.0)) is None


@pytest.mark.parametrize(
    ("hz", "cadence_ms"),
    [
        ((480.0, 620.0), (500, 500)), ((480.0, 620.0), (300, 200)), ((425.0,), (500, 500)), ((400.0,), (375, 375)),
        ((450.0,), (350, 350)), ((440.0,), (300, 300)), ((450.0,), (200, 100, 200, 1500)), ((350.0, 440.0), (20_000,)),
    ],
)  # fmt: skip
def test_busy_and_the_like_are_no_ringback(hz: tuple[float, ...], cadence_ms: tuple[int, ...]) -> None:
    assert judged(ringing(hz, cadence_ms, 16.0)) is None


def test_talk_alone_is_no_ringback() -> None:
    assert judged(talked_over(np.zeros(frames(30.0)), -16.0, 0.0, 30.0)) is None


@pytest.mark.parametrize("dbm0", [-30.0, -22.0])
def test_steady_noise_is_no_ringback(dbm0: float) -> None:
    assert judged(np.random.default_rng(2).standard_normal(frames(20.0)) * rms_of(dbm0)) is None


def test_a_syllable_before_a_burst_brings_the_next_one_no_nearer() -> None:
    """0.2 s of the same frequencies before the third burst: the fourth stays due at the same time."""
    line = ringing(*KR, 17.0, 0.0)
    line[frames(6.8) : frames(7.0)] += pair(KR[0], -17.0, frames(0.2)).render(0, frames(0.2))
    assert judged(line) is None


def test_talk_in_the_pitch_of_a_burst_makes_the_next_ones_no_shorter() -> None:
    """A vowel lengthens the fourth burst by a quarter of a second. The following ones, of normal length, are not taken
    for cut off.
    """
    line = ringing(*KR, 18.9)
    n = frames(0.25)
    line[frames(11.0) : frames(11.0) + n] += pair(KR[0], -18.0, n).render(0, n)
    found = judged(line)
    assert found is not None
    assert found[0].how == "burst_missing"
    assert found[1] > 18.9


def test_a_burst_that_is_seen_late_makes_no_pause_long() -> None:
    """Its first 0.2 s are masked: the ringback's pauses are not longer than before, so that a voice in its pause does
    not count.
    """
    line = ringing(*KR, 12.5)
    line[frames(10.0) : frames(10.2)] *= 0.01
    bursts, audio = Bursts(), np.clip(line, -32768, 32767).astype(np.int16)
    for end in range(-(-SPAN // STEP) * STEP, frames(12.4), STEP):
        for window in windows_of(audio[end - SPAN : end], end, NUMBERS):
            bursts.follow(window, KR_PSTN.tone, NUMBERS)
    assert bursts.rings
    assert bursts.pause < NUMBERS.long_pause_ms * RATE_HZ // 1000
