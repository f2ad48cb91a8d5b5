# SPDX-License-Identifier: Apache-2.0
"""Classes of sound on a line: speech, announcements, music, unlearnt tones; and changes between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from linetap.recorder.signals.events import ChannelChanged, SoundEvent, SoundHeard
from linetap.recorder.signals.sound.detector import CHUNK, SoundDetector
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import DTMF_COLUMNS_HZ, DTMF_KEYS, DTMF_ROWS_HZ, F64, Noise, Tones, dtmf, rms_of
from linetap_bench.sounds.voices import MADE_DBM0, Voices, default_folder
from linetap_core.codecs import g711

ANSWER = "네, 민원실입니다. 무엇을 도와드릴까요?"
NOT_IN_SERVICE = "지금 거신 번호는 없는 번호입니다. 다시 확인하시고 걸어 주시기 바랍니다."
IDLE_DBM0 = -62.0


def quiet(seconds: float) -> F64:
    return np.zeros(round(seconds * RATE_HZ))


def tone(hz: Sequence[float], seconds: float, dbm0: float = -18.0) -> F64:
    return Tones([(f, dbm0) for f in hz], round(seconds * RATE_HZ)).render(0, round(seconds * RATE_HZ))


def line(*parts: F64, noise_dbm0: float = IDLE_DBM0) -> I16:
    """The line after G.711 coding, with silence after it up to a whole chunk."""
    sound = np.concatenate(parts)
    sound = np.pad(sound, (0, -len(sound) % CHUNK))
    sound = sound + Noise((7,), noise_dbm0, len(sound)).render(0, len(sound))
    return g711.decode(g711.encode(np.clip(np.rint(sound), -32768, 32767).astype(np.int16)))


def listen(audio: I16) -> list[SoundEvent]:
    return SoundDetector(1).follow(audio[None], 0)


def sounds(events: list[SoundEvent]) -> list[str]:
    return [event.sound for event in events if isinstance(event, SoundHeard)]


def of(events: list[SoundEvent], sound: str) -> list[SoundHeard]:
    return [event for event in events if isinstance(event, SoundHeard) and event.sound == sound]


@pytest.fixture(scope="module")
def voices() -> Voices:
    return Voices(default_folder())


def said(voices: Voices, text: str, dbm0: float) -> F64:
    spoken = voices.say(text, "ko", "caller").astype(np.float64) * 10 ** ((dbm0 - MADE_DBM0) / 20)
    first, last = np.flatnonzero(np.abs(spoken) > np.abs(spoken).max() / 30)[[0, -1]]
    return spoken[first:last]


def melody(seconds: float, seed: int) -> F64:
    """Notes of a third of a second in sequence, as played by telephones and PBXs."""
    rng = np.random.default_rng(seed)
    n = round(0.3 * RATE_HZ)
    notes = [440 * 2 ** (step / 12) for step in rng.choice([0, 2, 4, 5, 7, 9, 11, 12], round(seconds / 0.3))]
    return np.concatenate([sum(tone([k * hz], 0.3, -20 - 6 * k)[:n] for k in (1, 2, 3)) for hz in notes])


def test_who_answers_is_speech_within_a_second_and_a_half(voices: Voices) -> None:
    events = listen(line(quiet(2), said(voices, ANSWER, -26), quiet(2)))
    speech = of(events, "speech")[0]
    assert abs(speech.at - 2 * RATE_HZ) < 0.1 * RATE_HZ
    assert speech.known - speech.at <= 1.5 * RATE_HZ
    assert sounds(events)[-1] == "silence"


def test_a_long_speech_without_a_pause_is_an_announcement(voices: Voices) -> None:
    events = listen(line(quiet(1), said(voices, NOT_IN_SERVICE, -22), quiet(2)))
    assert sounds(events) == ["speech", "announcement", "silence"]
    assert of(events, "announcement")[0].at == of(events, "speech")[0].at


def test_somebody_who_dials_says_nothing() -> None:
    digits = [part for key in "0212345678" for part in (dtmf(key, 720).render(0, 720), quiet(0.1))]
    assert not {"speech", "announcement", "cadence"} & set(sounds(listen(line(quiet(1), *digits, quiet(2)))))


def test_a_melody_is_music_and_no_cadence() -> None:
    events = listen(line(quiet(1), melody(10, 3), quiet(2)))
    assert "music" in sounds(events)
    assert not {"cadence", "speech", "sit"} & set(sounds(events))


SITS = {
    "ITU-T E.180": ((950, 1400, 1800), (0.33, 0.33, 0.33)),
    "North America, intercept": ((913.8, 1370.6, 1776.7), (0.274, 0.274, 0.38)),
    "North America, no circuit": ((985.2, 1428.5, 1776.7), (0.38, 0.38, 0.38)),
}


@pytest.mark.parametrize("name", SITS)
@pytest.mark.parametrize("gap", [0.0, 0.03])
def test_special_information_tones(name: str, gap: float) -> None:
    parts = [part for hz, long in zip(*SITS[name], strict=True) for part in (tone([hz], long, -24), quiet(gap))]
    events = listen(line(quiet(1), *parts, quiet(2), noise_dbm0=-50))
    sit = of(events, "sit")
    assert len(sit) == 1
    assert abs(sit[0].at - RATE_HZ) < 0.1 * RATE_HZ
    assert sit[0].known - sit[0].at <= 1.5 * RATE_HZ


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_special_information_tone_of_which_one_is_missing(missing: int) -> None:
    parts = [tone([hz], 0.33, -24) if n != missing else quiet(0.33) for n, hz in enumerate((950, 1400, 1800))]
    events = listen(line(quiet(1), *parts, quiet(2), noise_dbm0=-50))
    assert (len(of(events, "sit_part")), len(of(events, "sit"))) == (1, 0)


@pytest.mark.parametrize("lost_ms", [100, 440, 460, 780])
def test_a_special_information_tone_with_a_lost_packet(lost_ms: int) -> None:
    """Its place is filled with the previous one, attenuated."""
    parts = np.concatenate([tone([hz], 0.33, -24) for hz in (950, 1400, 1800)])
    at = lost_ms * RATE_HZ // 1000
    parts[at : at + 160] = parts[at - 160 : at] * 0.6
    assert "sit" in sounds(listen(line(quiet(1), parts, quiet(2), noise_dbm0=-50)))


def test_digits_are_no_melody(voices: Voices) -> None:
    """After each the line is judged anew."""
    places = [divmod(DTMF_KEYS.index(digit), 4) for digit in "01031115094"]
    keys = [(DTMF_ROWS_HZ[row], DTMF_COLUMNS_HZ[column]) for row, column in places]
    dialled = [part for hz in keys for part in (tone(hz, 0.12, -9), quiet(0.1))]
    audio = line(quiet(1), *dialled, quiet(0.5), said(voices, ANSWER, -22), quiet(2))
    known = [(RATE_HZ * (1000 + 220 * n + 150) // 1000, 0) for n in range(len(keys))]
    assert "music" in sounds(listen(audio))
    assert "music" not in sounds(SoundDetector(1).follow(audio[None], 0, known))


RINGBACKS = {  # of PBXs that were not learnt: frequencies, on, off, on, off
    "one tone, 1 s on, 4 s off": ((425,), (1.0, 4.0)),
    "a pair, 2 s on, 4 s off": ((440, 480), (2.0, 4.0)),
    "two short rings": ((400, 450), (0.4, 0.2, 0.4, 2.0)),
    "0.8 s on, 2.4 s off": ((480, 620), (0.8, 2.4)),
}


@pytest.mark.parametrize("name", RINGBACKS)
def test_the_burst_of_an_unknown_ringback_that_does_not_come(name: str, voices: Voices) -> None:
    hz, cadence = RINGBACKS[name]
    period = [quiet(s) if n % 2 else tone(hz, s) for n, s in enumerate(cadence)]
    whole = sum(cadence)
    audio = line(quiet(1), *period * 3, quiet(0.4), said(voices, ANSWER, -26), quiet(5))
    heard = of(listen(audio), "cadence")
    assert heard, name
    assert abs(heard[-1].period_ms - whole * 1000) < 100
    assert abs(heard[-1].on_ms - cadence[0] * 1000) < 100
    over = of(listen(audio), "cadence_over")
    assert len(over) == 1
    due = (1 + 3 * whole) * RATE_HZ
    assert due < over[0].known < due + 0.8 * RATE_HZ


def test_a_burst_cut_short_is_the_end_of_its_cadence() -> None:
    events = listen(line(quiet(1), *[tone([425], 1), quiet(4)] * 2, tone([425], 0.4), quiet(3)))
    over = of(events, "cadence_over")
    assert len(over) == 1
    assert abs(over[0].at - 11.4 * RATE_HZ) < 0.1 * RATE_HZ
    assert over[0].known < 12.2 * RATE_HZ


def test_another_noise_between_sounds_is_another_channel() -> None:
    rng = np.random.default_rng(2)
    events = listen(line(quiet(3), rng.normal(0, rms_of(-53), 3 * RATE_HZ)))
    changes = [event for event in events if isinstance(event, ChannelChanged)]
    assert len(changes) == 1
    assert abs(changes[0].at - 3 * RATE_HZ) < 0.3 * RATE_HZ
    assert changes[0].known - changes[0].at <= 1.5 * RATE_HZ


def test_the_same_noise_in_a_narrower_band_is_another_channel() -> None:
    rng = np.random.default_rng(4)
    wide, spectrum = rng.normal(0, rms_of(-55), 3 * RATE_HZ), np.fft.rfft(rng.normal(0, rms_of(-55), 3 * RATE_HZ))
    spectrum[1500 * 3 :] = 0
    narrow = np.fft.irfft(spectrum) * 1.6  # as loud as the wide one within the band
    changes = [e for e in listen(line(wide, narrow, noise_dbm0=-90)) if isinstance(e, ChannelChanged)]
    assert len(changes) == 1
    assert abs(changes[0].at - 3 * RATE_HZ) < 0.3 * RATE_HZ


@pytest.mark.parametrize("seed", range(5))
def test_a_line_that_stays_as_it_is_has_one_channel(seed: int, voices: Voices) -> None:
    noise = np.random.default_rng(seed).normal(0, rms_of(-52), 30 * RATE_HZ)
    sound = np.concatenate([quiet(4), tone([440, 480], 1), quiet(2), said(voices, ANSWER, -30), quiet(3)])
    noise[: len(sound)] += sound
    assert not [e for e in listen(line(noise, noise_dbm0=-90)) if isinstance(e, ChannelChanged)]


def test_the_same_whatever_the_batches(voices: Voices) -> None:
    audio = line(quiet(1), said(voices, ANSWER, -20), tone([425], 1), quiet(2), melody(4, 5), quiet(1))
    whole = listen(audio)
    detector = SoundDetector(1)
    pieces = [event for at in range(0, len(audio), 320) for event in detector.follow(audio[None, at : at + 320], at)]
    assert pieces == whole


def test_a_gap_forgets_what_was_before() -> None:
    detector = SoundDetector(1)
    first = line(quiet(1), tone([425], 1), quiet(4), tone([425], 1), quiet(1))
    assert "cadence" in sounds(detector.follow(first[None], 0))
    detector.reset_at_gap()
    assert not sounds(detector.follow(line(quiet(8))[None], 20 * RATE_HZ))
