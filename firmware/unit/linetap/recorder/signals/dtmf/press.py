# SPDX-License-Identifier: Apache-2.0
"""The close examination of the DTMF receiver: the beginning and end of a pair of tones, and whether it is a digit.

In windows of 5 ms, 2.5 ms apart, both tones are fitted together (a separate filter of 5 ms would leak the row into the
column); a third component between the dial tone's frequencies removes dial tone. A tone's edge is the frame of half its
amplitude.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import DtmfNumbers
from linetap.recorder.signals.dtmf.gate import COLUMNS_HZ, FRAMES_PER_MS, KEYS, ROWS_HZ
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.codecs.g711 import PEAK_0DBM0

HOP = 20
REACH = 20  # frames of a window on either side of its middle
_STEADY = 7  # windows within 20 ms
_JUDGED_MIN = 5  # windows: shorter pieces neither prove nor disprove a digit
_KEPT = 0.7  # share kept of the previous piece's reference amplitudes
_GONE = _KEPT / 2

_LONGEST = 4096  # frames of a stretch that are examined
_RADIANS = 2 * np.pi / RATE_HZ

F64 = NDArray[np.float64]
Complex = NDArray[np.complex128]

_STEPS = np.arange(_LONGEST // HOP + 1, dtype=np.float64)
_ONES = np.ones(_STEADY)
_RIDGE = 1e-9 * np.eye(8)


class Stretch(msgspec.Struct, frozen=True):
    """The frames [start, end) with both tones. `level_dbm0`: mean of both tones; None: they are no digit."""

    start: int
    end: int
    level_dbm0: float | None


class PressMeasure:
    """Measures one key's two tones in a piece of audio. Without state."""

    def __init__(self, numbers: DtmfNumbers) -> None:
        self._numbers = numbers
        middle = sum(numbers.beneath_hz) / 2
        pairs = [(row, column) for row in ROWS_HZ for column in COLUMNS_HZ]
        self._nominal = [np.array(pair) for pair in pairs]
        self._fits = [_fit(*pair, middle) for pair in pairs]
        self._still = [np.exp(-1j * HOP * _RADIANS * np.outer(_STEPS, pair)) for pair in pairs]
        self._beneath = _waves(np.array(numbers.beneath_hz), _LONGEST)

    def examine(
        self, x: F64, frame: int, key: int, before: tuple[float, float]
    ) -> tuple[list[Stretch], tuple[float, float]]:
        """The stretches in audio `x` (n,) from `frame`, n whole hops, and their reference amplitudes.

        `before`: reference amplitudes of the previous piece, so that noise after a digit is not compared with itself.
        """
        halves = x.reshape(-1, HOP) @ self._fits[key]  # (n / HOP, 8): a window's first half, then its second
        parts = halves[:-1, :4] + halves[1:, 4:]
        tones: Complex = parts[:, :2] + 1j * parts[:, 2:]  # (windows, 2): row, column
        size = np.abs(tones)
        top = size.max(axis=0)
        if top[0] <= _GONE * before[0] and top[1] <= _GONE * before[1]:
            return [], (_KEPT * before[0], _KEPT * before[1])
        weakest = np.minimum(size[:, 0] * top[1], size[:, 1] * top[0])  # both tones have equal weight at any twist
        best = int(np.convolve(weakest, _ONES[: len(size)], "valid").argmax())
        at_best = size[best : best + _STEADY]
        mean = at_best.sum(axis=0) / len(at_best)
        row, column = max(float(mean[0]), _KEPT * before[0]), max(float(mean[1]), _KEPT * before[1])
        present = (size[:, 0] > row / 2) & (size[:, 1] > column / 2)
        stretches = []
        for first, last in _runs(present):
            start, end = frame + REACH + first * HOP - HOP // 2, frame + REACH + last * HOP - HOP // 2
            inner = slice(first + 1, last - 1)  # windows that lie inside the tone
            long = inner.stop - inner.start >= _JUDGED_MIN
            level = self._judge(tones[inner], x[inner.start * HOP : last * HOP], key) if long else None
            stretches.append(Stretch(start, end, level))
        return stretches, (row, column)

    def _judge(self, tones: Complex, x: F64, key: int) -> float | None:
        """The level of the digit in these windows, at least _JUDGED_MIN, and their samples `x`; None: no digit."""
        n, nominal, count = self._numbers, self._nominal[key], len(tones)
        whole = (tones.real**2 + tones.imag**2).sum(axis=0) / count
        slow = tones * self._still[key][:count]
        offset = _slope(slow)
        steady = np.abs((slow * _turned(-offset, count)).sum(axis=0) / count) ** 2
        hz = offset / (_RADIANS * HOP)
        off = np.abs(hz) / nominal * 100
        if off.max() > n.offset_max_percent or (steady <= n.steadiness_min * whole).any():
            return None
        row, column = (10 * math.log10(power / PEAK_0DBM0**2) for power in steady.tolist())
        if min(row, column) < n.level_min_dbm0:
            return None
        if not -n.row_above_column_db <= column - row <= n.column_above_row_db:
            return None
        plain = off.max() <= n.covered_offset_max_percent and abs(column - row) <= n.covered_twist_max_db
        if self._purity(x, nominal + hz) < (n.covered_purity_min if plain else n.purity_min):
            return None
        return (row + column) / 2

    def _purity(self, x: F64, hz: F64) -> float:
        """The share of both tones in all sound but dial tone."""
        x = x[:_LONGEST]
        basis = np.vstack([_waves(hz, len(x)), self._beneath[:, : len(x)]])
        # Least squares by the normal equations: eight waves of distinct frequencies. If a dial tone is configured at a
        # row's frequency, the addition to the diagonal divides the tone between both.
        seen = basis @ x
        share = np.linalg.solve(basis @ basis.T + _RIDGE * len(x), seen)
        tones = float(share[:4] @ share[:4]) / 2
        rest = max(float(x @ x - share @ seen), 0.0) / len(x)
        return tones / (tones + rest)


def _fit(row: float, column: float, beneath: float) -> F64:
    """The matrix (20, 8) that gives a window's amplitudes of row and column, real then imaginary, from 40 samples.

    Phases are those at the window's first sample. The first four columns are for a window's first half, the rest for
    its second.
    """
    phase = np.arange(2 * REACH)[:, None] * _RADIANS * np.array([row, column, beneath])
    inverse = np.linalg.pinv(np.hstack([np.cos(phase), np.sin(phase)]))
    fit = np.vstack([inverse[:2], -inverse[3:5]]).T
    return np.hstack([fit[:HOP], fit[HOP:]])


def _waves(hz: F64, length: int) -> F64:
    """Cosines and sines of two frequencies, (4, length), by angle sums: one hop's waves, rotated hop by hop."""
    hops = -(-length // HOP)
    turns = _turned(_RADIANS * HOP * hz, hops)
    hop = np.exp(1j * _RADIANS * np.outer(hz, _STEPS[:HOP]))
    waves = (turns.T[:, :, None] * hop[:, None, :]).reshape(2, hops * HOP)[:, :length]
    return np.vstack([waves.real, waves.imag])


def _turned(angle: F64, count: int) -> Complex:
    """Two rotations by constant angles, step by step from zero: (count, 2)."""
    turned: Complex = np.exp(1j * (_STEPS[:count, None] * angle))
    return turned


def _slope(slow: Complex) -> F64:
    """The slope in radians a hop for each column: from steps of two hops (windows without common samples), then from
    a line through all.
    """
    count = len(slow)
    rough = np.angle((slow[2:] * slow[:-2].conj()).sum(axis=0)) / 2
    still = slow * _turned(-rough, count)
    phase = np.angle(still * still.sum(axis=0).conj())
    middle = _STEPS[:count] - (count - 1) / 2
    slope: F64 = rough + middle @ phase / (count * (count**2 - 1) / 12)
    return slope


def _runs(present: NDArray[np.bool_]) -> list[tuple[int, int]]:
    cuts = [0, *(np.flatnonzero(present[1:] != present[:-1]) + 1).tolist(), len(present)]
    return [(a, b) for a, b in pairwise(cuts) if present[a]]


# --- What identifies a telephone's digits: level, twist and pitch of the two tones, and the noise beneath them --------
# An oscillator keeps its pitch within a few hundredths of a percent (from memory); two telephones differ by tenths. The
# digits of a far end behind a codec have the codec's noise (G.711: 38 dB below the tones).


LEAD_MS, LONGEST_MS = 6, 40  # from the digit's first frame: a digit lasts at least 40 ms (Q.24)
ROUNDS = 4
TAPS = 16  # 2 ms: length of the hybrid's echo (from memory: most of it within 1 ms)


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """The signature of a digit. `level_dbm0`: mean of both tones; `twist_db`: column above row; pitches in percent
    off nominal.

    `rest_db`: level of all other sound against both tones together.
    """

    level_dbm0: float
    twist_db: float
    row_percent: float
    column_percent: float
    rest_db: float


def signature_of(audio: NDArray[np.int16], digit: str, played: NDArray[np.int16] | None = None) -> Signature | None:
    """The signature of a digit's audio from its first frame on; None: too little audio.

    `played`: our own sound that may return in this audio, longer than the audio by the possible delays. Its echo is
    removed.
    """
    x = audio[LEAD_MS * FRAMES_PER_MS : LONGEST_MS * FRAMES_PER_MS].astype(np.float64)
    if len(x) < (LONGEST_MS - LEAD_MS) * FRAMES_PER_MS // 2:
        return None
    row, column = divmod(KEYS.index(digit), 4)
    nominal = np.array([ROWS_HZ[row], COLUMNS_HZ[column]])
    hz, at = nominal.copy(), np.arange(len(x)) - (len(x) - 1) / 2
    if played is not None:
        x = x - _returned(x, played, nominal)
    for _ in range(ROUNDS):  # Gauss-Newton: a tone's derivative by its frequency is its quadrature times t
        phase = 2 * np.pi / RATE_HZ * np.outer(at, hz)
        waves = np.hstack([np.cos(phase), np.sin(phase)])
        found = np.linalg.lstsq(waves, x, rcond=None)[0]
        a, b = found[:2], found[2:]
        slope = (2 * np.pi / RATE_HZ) * at[:, None] * (b * np.cos(phase) - a * np.sin(phase))
        step = np.linalg.lstsq(np.hstack([waves, slope]), x, rcond=None)[0][4:]
        hz += np.clip(step, -5.0, 5.0)
    phase = 2 * np.pi / RATE_HZ * np.outer(at, hz)
    waves = np.hstack([np.cos(phase), np.sin(phase)])
    found = np.linalg.lstsq(waves, x, rcond=None)[0]
    peaks = np.maximum(np.hypot(found[:2], found[2:]), 1e-3)
    low, high = (20 * np.log10(peaks / PEAK_0DBM0)).tolist()
    rest = float(np.mean((x - waves @ found) ** 2))
    off = ((hz / nominal - 1) * 100).tolist()
    rest_db = 10 * np.log10(max(rest, 1e-3) / float((peaks**2).sum() / 2))
    return Signature((low + high) / 2, high - low, off[0], off[1], float(rest_db))


def _returned(x: NDArray[np.float64], played: NDArray[np.int16], hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The line's echo of `played` in `x`, at the best delay, with a few taps around that delay.

    The tones are fitted together with the echo, so that they are not mistaken for it.
    """
    at = np.arange(len(x)) - (len(x) - 1) / 2
    # a tone that is off by up to 1.8 % (Q.24) still lies within three neighbouring frequencies
    phase = 2 * np.pi / RATE_HZ * np.outer(at, np.concatenate([hz * off for off in (0.99, 1.0, 1.01)]))
    tones = np.linalg.qr(np.hstack([np.cos(phase), np.sin(phase)]))[0]
    late = np.lib.stride_tricks.sliding_window_view(played.astype(np.float64), len(x))[::-1].T  # one column a delay
    rest = x - tones @ (tones.T @ x)
    others = late - tones @ (tones.T @ late)
    power = (others**2).sum(axis=0)
    if not power.max() > 0:
        return np.zeros_like(x)
    fits = (rest @ others) ** 2 / np.maximum(power, power.max() * 1e-3)
    middle = int(fits.argmax())
    taps = slice(max(0, middle - TAPS // 2), middle + TAPS // 2)
    return np.asarray(late[:, taps] @ np.linalg.lstsq(others[:, taps], rest, rcond=1e-4)[0])
