# SPDX-License-Identifier: Apache-2.0
"""Melodies composed for the bench: colour rings (통화연결음) in place of ringback, and jingles.

Each has its own chords, bass, rhythm and tempo; a song also has a voice that sings its melody.
"""

from __future__ import annotations

import numpy as np

from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import F64

LONG_S = 30.0
CONCERT_A_HZ = 440.0
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_CHORDS = ((0, 2, 4), (5, 7, 9), (3, 5, 7), (4, 6, 8))  # steps of the scale: I, VI, IV, V
_PENTATONIC = (0, 1, 2, 4, 5, 7, 8, 9)  # steps of the scale in a tune
_FORMANTS_HZ = ((800, 1150, 2800), (400, 1600, 2700), (350, 800, 2700))  # a, e, u of a soprano


def melody(which: int, sung: bool) -> F64:
    """A melody of LONG_S, peak 1. The same number gives the same music."""
    rng = np.random.default_rng([which, 71])
    beat_s = 60 / rng.uniform(76, 150)
    key = int(rng.integers(-5, 6))
    bright = float(rng.uniform(0.25, 0.8))
    out = np.zeros(round(LONG_S * RATE_HZ))
    phrase = [(int(rng.choice(_PENTATONIC)), float(rng.choice([0.5, 1.0, 1.0, 2.0]))) for _ in range(12)]
    at, n = 0.0, 0
    while at < LONG_S:
        step, beats = phrase[n % len(phrase)]
        tone = _voice if sung else _pluck
        _put(out, at, 0.8 * tone(_hz(key + 12, step), beats * beat_s, bright, n))
        at, n = at + beats * beat_s, n + 1
    bars = int(LONG_S / (4 * beat_s)) + 1
    for bar in range(bars):
        chord = _CHORDS[bar % len(_CHORDS)]
        for beat in range(4):
            t = (4 * bar + beat) * beat_s
            for step in chord:
                _put(out, t, 0.22 * _pluck(_hz(key, step), beat_s, bright, beat))
            _put(out, t, (0.5 if beat % 2 == 0 else 0.0) * _pluck(_hz(key - 12, chord[0]), beat_s, 0.3, beat))
            _put(out, t, (0.35 if beat % 2 else 0.15) * _drum(rng))
    return peaked(out)


def jingle(which: int) -> F64:
    """A chime of two to five notes, peak 1."""
    rng = np.random.default_rng([which, 72])
    notes, note_s, key = int(rng.integers(2, 6)), float(rng.uniform(0.16, 0.4)), int(rng.integers(-3, 8))
    out = np.zeros(round((notes * note_s + 0.8) * RATE_HZ))
    for n in range(notes):
        _put(out, n * note_s, _pluck(_hz(key + 12, int(rng.choice(_PENTATONIC))), 0.8, 0.4, n))
    return peaked(out)


def peaked(sound: F64) -> F64:
    scaled: F64 = sound / max(1e-9, float(np.abs(sound).max()))
    return scaled


def _hz(semitones: int, step: int) -> float:
    octave, degree = divmod(step, len(_MAJOR))
    return float(CONCERT_A_HZ / 2 * 2 ** ((semitones + 12 * octave + _MAJOR[degree]) / 12))


def _put(out: F64, at_s: float, sound: F64) -> None:
    first = round(at_s * RATE_HZ)
    n = min(len(sound), len(out) - first)
    if n > 0:
        out[first : first + n] += sound[:n]


def _pluck(hz: float, length_s: float, bright: float, _number: int) -> F64:
    """A string or a bell: harmonics that decay, the higher ones sooner."""
    t = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    out = np.zeros(len(t))
    for k in range(1, 7):
        if k * hz < 3800:
            out += bright ** (k - 1) * np.exp(-t * (2 + k)) * np.sin(2 * np.pi * k * hz * t)
    fade: F64 = np.minimum(1.0, np.minimum(t, length_s - t) / 0.005)
    return out * fade


def _voice(hz: float, length_s: float, _bright: float, number: int) -> F64:
    """A sung vowel, with vibrato, after a consonant's short hiss."""
    t = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(hz * (1 + 0.012 * np.sin(2 * np.pi * 5.5 * t) * np.minimum(t / 0.3, 1))) / RATE_HZ
    out = np.zeros(len(t))
    formants = _FORMANTS_HZ[number % len(_FORMANTS_HZ)]
    for k in range(1, int(3700 / hz) + 1):
        weight = sum(1 / (1 + ((k * hz - formant) / (90 + 0.05 * formant)) ** 2) for formant in formants)
        out += weight / k**0.3 * np.sin(k * phase)
    out *= np.minimum(1.0, np.minimum(t / 0.05, (length_s - t) / 0.06))
    hiss = np.random.default_rng([number, 73]).standard_normal(min(len(t), 480)) * 0.12
    out[: len(hiss)] = out[: len(hiss)] * 0.4 + hiss * np.hanning(len(hiss))
    return peaked(out)


def _drum(rng: np.random.Generator) -> F64:
    n = RATE_HZ // 10
    hit: F64 = rng.standard_normal(n) * np.exp(-np.arange(n) / (RATE_HZ * 0.015))
    return hit / 3
