# SPDX-License-Identifier: Apache-2.0
"""Sounds of a telephone line at 8 kHz; any stretch of samples can be rendered alone.

Every sample depends only on its position, not on the division of the stream into blocks: a script streams with bounded
memory, and a test can render any stretch again. Values are float64 on the scale of int16.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from linetap.ring import RATE_HZ
from linetap_core.codecs.g711 import peak_of, power_of

F64 = npt.NDArray[np.float64]
Parts = list[tuple[float, float]]  # Hz, dBm0
Cadence = tuple[int, ...]  # on, off, on, off

DIAL_HZ, RINGBACK_HZ, BUSY_HZ = (350.0, 440.0), (440.0, 480.0), (480.0, 620.0)  # Korea, ITU-T E.180 data
DIAL_DBM0, RINGBACK_DBM0, BUSY_DBM0 = -13.0, -18.0, -16.0  # of the sum; E.180 clause 4: -10 +-5 at the exchange
BUSY_MS = (500, 500)
DTMF_ROWS_HZ, DTMF_COLUMNS_HZ = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0)  # ITU-T Q.23
DTMF_ROW_DBM0, DTMF_COLUMN_DBM0 = -10.0, -8.0  # telephones send the column 2 dB hotter
DTMF_KEYS = "123A456B789C*0#D"
MAINS_HZ = 60.0  # Korea
MAINS_PARTS = ((1, 1.0), (2, 0.25), (3, 0.5), (5, 0.3), (9, 0.1))  # odd harmonics of rectifiers dominate
RINGING_HZ = 20.0
CLICK_SAMPLES = 120
CLICK_PEAK = 5000.0
EDGE_SAMPLES = 16  # 2 ms: tone generators do not switch instantly
NOISE_CHUNK = 4096


def rms_of(dbm0: float) -> float:
    """The root mean square of samples at this level."""
    return float(np.sqrt(power_of(dbm0)))


class Sound(Protocol):
    """A sound of `length` samples; `render(offset, n)` gives samples offset to offset + n, all within the length."""

    length: int

    def render(self, offset: int, n: int) -> F64: ...


class Tones:
    """Sines of (Hz, dBm0) together, with a cadence in milliseconds or continuous.

    The phase reverses every `reversal_ms`.
    """

    def __init__(
        self, parts: Parts, length: int, cadence_ms: Cadence | None = None, reversal_ms: int | None = None
    ) -> None:
        self.length = length
        self._parts = [(2 * np.pi * hz / RATE_HZ, peak_of(dbm0)) for hz, dbm0 in parts]
        edges = np.cumsum([0, *(cadence_ms or ())]) * RATE_HZ // 1000
        self._period = int(edges[-1])
        self._bursts = list(zip(edges[:-1:2], edges[1::2], strict=True)) if self._period else [(0, length)]
        self._reversal = None if reversal_ms is None else reversal_ms * RATE_HZ // 1000

    def render(self, offset: int, n: int) -> F64:
        at = np.arange(offset, offset + n)
        wave = np.zeros(n)
        for step, peak in self._parts:
            wave += peak * np.sin(step * at)
        if self._reversal is not None:
            wave *= 1 - 2 * (at // self._reversal % 2)
        return wave * self._gate(at)

    def _gate(self, at: npt.NDArray[np.int64]) -> F64:
        within = at % self._period if self._period else at
        inside = np.full(len(at), -1)  # the distance to the nearer edge of the burst; negative between bursts
        for first, end in self._bursts:
            inside = np.maximum(inside, np.minimum(within - first, end - within))
        gate: F64 = np.clip(np.minimum(inside, self.length - at) / EDGE_SAMPLES, 0.0, 1.0)
        return gate


def pair(tones_hz: tuple[float, ...], dbm0: float, length: int, cadence_ms: Cadence | None = None) -> Tones:
    """Tones, usually two, with a total power of `dbm0`."""
    each = dbm0 - 10 * float(np.log10(len(tones_hz)))
    return Tones([(hz, each) for hz in tones_hz], length, cadence_ms)


def dtmf(digit: str, length: int, dbm0: float | None = None) -> Tones:
    """A digit at a telephone's levels, or with each tone at `dbm0`."""
    row, column = divmod(DTMF_KEYS.index(digit), 4)
    levels = (DTMF_ROW_DBM0, DTMF_COLUMN_DBM0) if dbm0 is None else (dbm0, dbm0)
    return Tones([(DTMF_ROWS_HZ[row], levels[0]), (DTMF_COLUMNS_HZ[column], levels[1])], length)


class Hum:
    """The mains and its harmonics, `dbm0` together; read from a table, because every line always has hum."""

    _PERIOD = 400  # exactly three cycles of 60 Hz

    def __init__(self, dbm0: float, length: int) -> None:
        self.length = length
        at = np.arange(self._PERIOD)
        cycle = np.zeros(self._PERIOD)
        for k, weight in MAINS_PARTS:
            cycle += weight * np.sin(2 * np.pi * MAINS_HZ * k / RATE_HZ * at)
        self._table: F64 = cycle * (rms_of(dbm0) / np.sqrt((cycle**2).mean()))

    def render(self, offset: int, n: int) -> F64:
        return self._table[np.arange(offset, offset + n) % self._PERIOD]


class Noise:
    """White Gaussian noise, made in chunks, each with its own generator, so that any stretch can be rendered again."""

    def __init__(self, key: tuple[int, ...], dbm0: float, length: int) -> None:
        self.length = length
        self._key = key
        self._rms = rms_of(dbm0)
        self._chunk: tuple[int, F64] = (-1, np.zeros(0))

    def render(self, offset: int, n: int) -> F64:
        out = np.empty(n)
        done = 0
        while done < n:
            number, start = divmod(offset + done, NOISE_CHUNK)
            take = min(n - done, NOISE_CHUNK - start)
            out[done : done + take] = self._chunk_of(number)[start : start + take]
            done += take
        return out * self._rms

    def _chunk_of(self, number: int) -> F64:
        if self._chunk[0] != number:
            self._chunk = (number, np.random.default_rng([*self._key, number]).standard_normal(NOISE_CHUNK))
        return self._chunk[1]


class Wave:
    """Given samples with a gain, cut off at `length` with a short fade."""

    def __init__(self, samples: npt.NDArray[np.int16], gain: float, length: int) -> None:
        self.length = min(length, len(samples))
        self._samples = samples
        self._gain = gain

    def cut(self, length: int) -> None:
        self.length = min(self.length, length)

    def scaled(self, gain: float, length: int) -> Wave:
        """The same wave with another gain, no longer than `length`."""
        return Wave(self._samples, self._gain * gain, max(0, min(self.length, length)))

    def render(self, offset: int, n: int) -> F64:
        fade = np.clip((self.length - np.arange(offset, offset + n)) / EDGE_SAMPLES, 0.0, 1.0)
        wave: F64 = self._samples[offset : offset + n] * self._gain * fade
        return wave


def click(key: tuple[int, ...]) -> Wave:
    """The click of a contact that opens or closes a loop: a decaying burst of 15 ms."""
    rng = np.random.default_rng(list(key))
    decay = np.exp(-np.arange(CLICK_SAMPLES) / 14)
    burst = rng.standard_normal(CLICK_SAMPLES) * decay
    return Wave((burst / np.abs(burst).max() * CLICK_PEAK).astype(np.int16), 1.0, CLICK_SAMPLES)
