# SPDX-License-Identifier: Apache-2.0
"""DTMF digits at any level, offset and length, in noise and over speech, and a count of the detected ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from anchors.people import people
from linetap.recorder.signals.dtmf.detector import Digit, DtmfDetector
from linetap.recorder.signals.dtmf.gate import COLUMNS_HZ, KEYS, ROWS_HZ
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import F64, rms_of
from linetap_core.codecs.g711 import peak_of

Sine = Callable[[float, int, float], F64]  # Hz, samples, phase -> samples of peak 1
BATCH = 2000
SPEECH_MIN, SPEECH_FROM = 3.0, 60_000


def own_sine(hz: float, n: int, phase: float) -> F64:
    sine: F64 = np.sin(np.arange(n) * (2 * np.pi * hz / RATE_HZ) + phase)
    return sine


def tone(
    key: str, ms: float, row: float = -10.0, column: float = -10.0, off_percent: float = 0.0, phase: float = 0.0,
    sine: Sine = own_sine,
) -> F64:  # fmt: skip
    """A digit's tones. `row`, `column`: dBm0."""
    index, n, pitch = KEYS.index(key), round(ms * 8), 1 + off_percent / 100
    low = peak_of(row) * sine(ROWS_HZ[index // 4] * pitch, n, phase)
    return low + peak_of(column) * sine(COLUMNS_HZ[index % 4] * pitch, n, 2 * phase)


def string(
    rng: np.random.Generator, keys: str, on_ms: float = 41.0, off_ms: float = 41.0, row: float = -10.0,
    column: float = -10.0, off_percent: float = 0.0, sine: Sine = own_sine,
) -> F64:  # fmt: skip
    """All keys with gaps and random phases; half a second of silence around."""
    parts = [np.zeros(4000 + int(rng.integers(80)))]
    for key in keys:
        phase = float(rng.uniform(0, 6))
        parts += [tone(key, on_ms, row, column, off_percent, phase, sine), np.zeros(round(off_ms * 8))]
    return np.concatenate([*parts, np.zeros(4000)])


class Case(NamedTuple):
    """Levels in dBm0 a tone; S/N: power of both tones to noise in 4 kHz."""

    row: float = -10.0
    column: float = -10.0
    off_percent: float = 0.0
    on_ms: float = 41.0
    off_ms: float = 41.0
    snr_db: float | None = None
    speech_dbm0: float | None = None

    def audio(self, rng: np.random.Generator, keys: str, sine: Sine = own_sine) -> I16:
        x = string(rng, keys, self.on_ms, self.off_ms, self.row, self.column, self.off_percent, sine)
        return self.covered(rng, x)

    def covered(self, rng: np.random.Generator, x: F64) -> I16:
        """The digits in the case's noise and over its speech."""
        if self.snr_db is not None:
            total = 10 * np.log10(10 ** (self.row / 10) + 10 ** (self.column / 10))
            x = x + noise(rng, len(x), total - self.snr_db)
        if self.speech_dbm0 is not None:
            x = x + people(self.speech_dbm0, SPEECH_MIN)[SPEECH_FROM:][: len(x)]
        return samples(x)


def noise(rng: np.random.Generator, length: int, dbm0: float) -> F64:
    return rng.normal(0, rms_of(dbm0), length)


def samples(x: F64) -> I16:
    """The audio as int16, in whole blocks."""
    x = np.concatenate([x, np.zeros(-len(x) % 80)])
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def events(audio: I16, batch: int = 320, frame: int = 0) -> list[Digit]:
    """The digits detected in (n,) or (lines, n)."""
    rows = np.atleast_2d(audio)
    detector = DtmfDetector(len(rows))
    found = []
    for at in range(0, rows.shape[1], batch):
        found += detector.follow(rows[:, at : at + batch], frame + at)
    return found


def heard(audio: I16) -> str:
    return "".join(event.digit for event in events(audio, BATCH))


def heard_on_each(audios: list[I16]) -> list[str]:
    """The digits detected by one detector in all of them, one a line; shorter ones end in silence."""
    longest = max(map(len, audios))
    found = events(np.stack([np.pad(audio, (0, longest - len(audio))) for audio in audios]), BATCH)
    return ["".join(event.digit for event in found if event.line == line) for line in range(len(audios))]


def random_keys(rng: np.random.Generator, count: int) -> str:
    return "".join(KEYS[int(i)] for i in rng.integers(16, size=count))


def correct(said: str, got: str) -> int:
    """The number of digits detected in order, less those that were not dialled (longest common subsequence)."""
    row = [0] * (len(got) + 1)
    for a in said:
        diagonal = 0
        for j, b in enumerate(got):
            diagonal, row[j + 1] = row[j + 1], (diagonal + 1 if a == b else max(row[j + 1], row[j]))
    return row[-1] - (len(got) - row[-1])
