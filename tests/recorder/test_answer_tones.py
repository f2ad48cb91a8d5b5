# SPDX-License-Identifier: Apache-2.0
"""Sounds easily mistaken for ringback, music or a voice: a song that begins quietly, the three tones of an unassigned
number, a long burst of ringback. And the begin of the notice after a late detection of the answer.
"""

from __future__ import annotations

import numpy as np
import pytest
from call_rig import Story
from sounds import digits, frames, ringback, talk

from linetap.config.profile import KR_PSTN
from linetap.config.schema import Card, Config, Keys, Line
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap.recorder.calls.evidence.decision import Dialled, Evidence, Verdict
from linetap.recorder.calls.evidence.windows import SPAN, STEP, windows_of
from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import F64, Tones, pair, rms_of
from linetap_core.clock import NS_PER_MS, parse_rfc3339

NUMBERS = KR_PSTN.answer
DIALLED = Dialled("ordinary", 0, "")
SIT_HZ = (950.0, 1400.0, 1800.0)  # ITU-T E.180


def quiet(seconds: float) -> F64:
    return np.random.default_rng(1).standard_normal(frames(seconds)) * rms_of(-65.0)


def verdict(evidence: Evidence, line: F64, said: dict[float, tuple[str, float, bool]]) -> tuple[float, Verdict] | None:
    """`said`: the detectors' results by time of detection: the sound, its begin, whether it is loud."""
    waiting, audio = sorted(said.items()), np.clip(line, -32768, 32767).astype(np.int16)
    for end in range(-(-SPAN // STEP) * STEP, len(audio), STEP):
        while waiting and waiting[0][0] * RATE_HZ <= end:
            _, (text, at, loud) = waiting.pop(0)
            evidence.add_sound(text, frames(at), loud)
        evidence.follow(windows_of(audio[end - SPAN : end], end, NUMBERS), KR_PSTN.tone, NUMBERS)
        if (found := evidence.judge(end, DIALLED, NUMBERS)) is not None:
            return end / RATE_HZ, found
    return None


@pytest.mark.parametrize(("dbm0", "is_music"), [(-20.0, True), (-38.0, False)])
def test_a_song_that_begins_quietly_is_music_once_it_is_loud(dbm0: float, is_music: bool) -> None:
    line = quiet(8.0)
    line[frames(1.0) :] += np.random.default_rng(2).standard_normal(frames(7.0)) * rms_of(-38.0)
    line[frames(3.0) :] += np.random.default_rng(3).standard_normal(frames(5.0)) * rms_of(dbm0)
    evidence = Evidence()
    assert verdict(evidence, line, {1.6: ("music", 1.0, False)}) is None
    assert evidence.waits is is_music


def test_a_loud_voice_in_a_song_that_began_quietly_takes_no_turn() -> None:
    line = quiet(5.0)
    line[frames(1.0) : frames(1.5)] += np.random.default_rng(2).standard_normal(frames(0.5)) * rms_of(-31.0)
    line[frames(1.9) :] += talk(3.1, -18.0)
    assert verdict(Evidence(), line, {1.8: ("music", 1.0, False)}) is None


def test_the_last_of_three_tones_is_no_ringback() -> None:
    line, at = quiet(9.0), 1.0
    for hz in SIT_HZ:
        line[frames(at) : frames(at) + frames(0.36)] += Tones([(hz, -16.0)], frames(0.36)).render(0, frames(0.36))
        at += 0.36
    assert verdict(Evidence(), line, {1.9: ("sit", 1.0, True), 2.6: ("silence", 2.0, True)}) is None


def test_a_long_burst_of_ringback_is_no_music() -> None:
    line = quiet(5.0)
    line[frames(1.0) : frames(3.0)] += pair((440.0, 480.0), -20.0, frames(2.0)).render(0, frames(2.0))
    evidence = Evidence()
    assert verdict(evidence, line, {1.7: ("music", 1.0, True)}) is None
    assert evidence.music_from is None
    assert not evidence.waits


def test_an_answer_that_is_known_late_has_waited_for_its_notice(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The missing burst is due at 13 s; the notice follows it by half a second, and not by twice as much."""
    folder = tmp_path_factory.mktemp("notices")
    make_default_notices(folder, ANNOUNCEMENTS)
    config = Config(
        unit="rings", keys=Keys(custodians=["none"], overflow_epoch="none"), card=[Card(channels=2)],
        line=[Line(number=1, channel=1)], notices=str(folder),
    )  # fmt: skip
    story = Story(config, 24.0, noise_peak=30).off_hook(1.0, 22.0)
    story.sound(2.0, digits("0234567890")).sound(4.0, ringback(3)).sound(12.0, talk(9.0, -20.0))
    (record,) = story.tell().records
    (notice,) = record.notices
    assert record.answered_by == "tone"
    waited = parse_rfc3339(notice.started_at) - parse_rfc3339(record.answered_at or "")
    assert waited <= 750 * NS_PER_MS, record


@pytest.mark.parametrize("gap_s", [0.0, 0.3, 0.5])
def test_a_busy_tone_behind_a_burst_that_broke_off_is_no_answer(gap_s: float) -> None:
    """Rejecting a call ends the ringback within a burst; the exchange's busy tone follows at its own time."""
    line = quiet(14.0)
    line[frames(1.0) : frames(7.4)] += pair((440.0, 480.0), -20.0, frames(6.4), (1000, 2000)).render(0, frames(6.4))
    n = frames(14.0) - frames(7.4 + gap_s)
    line[-n:] += pair((480.0, 620.0), -20.0, n, (500, 500)).render(0, n)
    found = verdict(Evidence(), line, {})
    assert found is None or found[0] > 7.4 + gap_s + 2.0, found  # by then the busy tone is identified


def test_an_answer_in_silence_within_a_burst_is_known_within_a_second() -> None:
    line = quiet(12.0)
    line[frames(1.0) : frames(7.4)] += pair((440.0, 480.0), -20.0, frames(6.4), (1000, 2000)).render(0, frames(6.4))
    found = verdict(Evidence(), line, {})
    assert found is not None
    assert found[1].evidence[:2] == ("ringback", "burst_cut")
    assert 8.0 < found[0] <= 8.6
