# SPDX-License-Identifier: Apache-2.0
"""Accuracy for Korea's tones at their limits of time, frequency and level, and an hour of speech without tones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anchors.people import people
from anchors.programs import sox_sine
from anchors.supertone import SuperTone
from dtmf_rig import Sine, own_sine
from linetap.config.numbers import KR_TONES, ToneShape
from linetap.config.profile import KR_PSTN
from linetap.recorder.signals.events import ToneHeard
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import I16, RATE_HZ
from linetap_bench.figures import Row
from linetap_bench.sounds.synth import F64, rms_of
from linetap_core.codecs.g711 import peak_of

SEED, TRIALS = 33, 100
STRETCHES, OFFSETS, LEVELS_DBM0 = (0.9, 1.0, 1.1), (-0.015, 0.0, 0.015), (-10.0, -22.0, -35.0)
# libspandsp reports tones in noise above -42 dBm0: the comparison is more meaningful on a quiet line.
LINES: dict[str, float | None] = {"quiet line": None, "20 dB S/N": 20.0}
IDLE_DBM0 = -60.0
LEAD_S, CONTINUOUS_S = 0.4, 2.0
SPEECH_DBM0, SPEECH_MIN, SPEECH_LINES = -16.0, 60.0, 6
ENDS_A_CALL = ("busy", "congestion")
BATCH = 2 * RATE_HZ
WHOLE = 800  # frames; a line's length is a multiple


def rows(trials: int, minutes: float) -> list[Row]:
    rng = np.random.default_rng(SEED)
    anchor = SuperTone(KR_TONES, KR_PSTN.cadence)
    try:
        cadences = [_row(shape, line, trials, rng, anchor.heard) for line in LINES for shape in KR_TONES]
        return [*cadences, _in_speech(minutes, anchor.heard)]
    finally:
        anchor.close()


def _row(shape: ToneShape, line: str, trials: int, rng: np.random.Generator, anchor: Callable[[I16], list[str]]) -> Row:
    audios = [_sent(shape, LINES[line], rng, sox_sine if trial % 2 else own_sine) for trial in range(trials)]
    ours, theirs = _heard_on_each(audios), [anchor(audio) for audio in audios]
    right, beside = (
        100 * sum(set(names) == {shape.name} for names in detected) / trials for detected in (ours, theirs)
    )
    method = (
        f"heard, and no other, of {trials}: lengths off by up to 10 %, each frequency by up to 1.5 %, "
        "-10 to -35 dBm0 a tone; sines of sox and ours in turn"
    )
    return Row(name=f"tones: {shape.name}, {line}", figure=right, unit="%", target=100, at_most=False, method=method,
               beside={"libspandsp": beside})  # fmt: skip


def _sent(shape: ToneShape, snr_db: float | None, rng: np.random.Generator, sine: Sine) -> I16:
    """The periods that identify the tone and one more, then a second of the empty line."""
    stretch = rng.choice(STRETCHES)
    pitches = [hz * (1 + rng.choice(OFFSETS)) for hz in shape.hz]
    level = float(rng.choice(LEVELS_DBM0))
    elements_s = [ms * stretch / 1000 for ms in shape.cadence_ms] or [CONTINUOUS_S]
    periods = 1 + max(1, -(-shape.known_after // len(elements_s)))
    parts = [np.zeros(round(LEAD_S * RATE_HZ) + int(rng.integers(WHOLE)))]
    for element in range(periods * len(elements_s)):
        n = round(elements_s[element % len(elements_s)] * RATE_HZ)
        parts.append(np.zeros(n) if element % 2 and shape.cadence_ms else _pair(pitches, level, n, rng, sine))
        if not shape.cadence_ms:
            break
    line = np.concatenate([*parts, np.zeros(RATE_HZ)])
    noise_dbm0 = IDLE_DBM0 if snr_db is None else level + 10 * float(np.log10(len(shape.hz))) - snr_db
    return _int16(line + rng.normal(0, rms_of(noise_dbm0), len(line)))


def _pair(pitches: list[float], dbm0: float, n: int, rng: np.random.Generator, sine: Sine) -> F64:
    waves = [sine(hz, n, float(rng.uniform(0, 2 * np.pi))) for hz in pitches]
    return peak_of(dbm0) * np.sum(waves, axis=0)


def _int16(line: F64) -> I16:
    line = np.pad(line, (0, -len(line) % WHOLE))
    return np.clip(np.rint(line), -32768, 32767).astype(np.int16)


def _heard_on_each(audios: list[I16]) -> list[list[str]]:
    """The tones detected in each audio, each on its own line; shorter ones are padded with silence."""
    longest = max(map(len, audios))
    lines = np.stack([np.pad(audio, (0, longest - len(audio))) for audio in audios])
    detector, names = ToneDetector(len(lines)), [list[str]() for _ in audios]
    for at in range(0, longest, BATCH):
        for event in detector.follow(lines[:, at : at + BATCH], at):
            if isinstance(event, ToneHeard):
                names[event.line].append(event.tone)
    return names


def _in_speech(minutes: float, anchor: Callable[[I16], list[str]]) -> Row:
    speech = people(SPEECH_DBM0, minutes)
    lines = list(speech[: len(speech) // (SPEECH_LINES * WHOLE) * SPEECH_LINES * WHOLE].reshape(SPEECH_LINES, -1))
    ours = [name for names in _heard_on_each(lines) for name in names]
    theirs = [name for line in lines for name in anchor(line)]
    ends, anchors_ends = (sum(name in ENDS_A_CALL for name in names) for names in (ours, theirs))
    return Row(
        name="tones: busy or congestion heard in speech", figure=ends, unit="", target=0,
        beside={"libspandsp": anchors_ends},
        method=f"{len(speech) / RATE_HZ / 60:.0f} minutes of recorded people at {SPEECH_DBM0:g} dBm0;"
        f" all tones: {len(ours)}, libspandsp {len(theirs)}",
    )  # fmt: skip
