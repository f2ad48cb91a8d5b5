# SPDX-License-Identifier: Apache-2.0
"""The precise half of the DTMF receiver: where one pair of tones begins and ends, and whether it is a digit.

In windows of 5 ms, 2.5 ms apart, both tones are fitted together (at 5 ms a filter alone would leak the row into the
column); a third component between the dial tone's frequencies takes that tone out. A tone's edge is where its amplitude
is half.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import DtmfNumbers
from linetap.recorder.signals.dtmf.gate import COLUMNS_HZ, ROWS_HZ
from linetap_core.evidence.calls.g711 import FULL_SCALE_DBM0, RATE_HZ

HOP = 20
REACH = 20  # frames of a window on either side of its middle
_STEADY = 7  # windows within 20 ms
_JUDGED_MIN = 5  # windows: shorter pieces count neither for nor against
_KEPT = 0.7  # of the amplitudes that the tones were compared with in the piece before
_GONE = _KEPT / 2

_LONGEST = 4096  # frames of a stretch that are examined
_RADIANS = 2 * np.pi / RATE_HZ

F64 = NDArray[np.float64]
Complex = NDArray[np.complex128]

_STEPS = np.arange(_LONGEST // HOP + 1, dtype=np.float64)
_ONES = np.ones(_STEADY)
_RIDGE = 1e-9 * np.eye(8)


class Stretch(msgspec.Struct, frozen=True):
    """Both tones sounded in [start, end). `level_dbm0`: mean of both tones; None: they are no digit."""

    start: int
    end: int
    level_dbm0: float | None


class Ear:
    """Measures one key's two tones in a piece of audio. Without state."""

    def __init__(self, numbers: DtmfNumbers) -> None:
        self._numbers = numbers
        middle = sum(numbers.beneath_hz) / 2
        pairs = [(row, column) for row in ROWS_HZ for column in COLUMNS_HZ]
        self._nominal = [np.array(pair) for pair in pairs]
        self._fits = [_fit(*pair, middle) for pair in pairs]
        self._still = [np.exp(-1j * HOP * _RADIANS * np.outer(_STEPS, pair)) for pair in pairs]
        self._beneath = _waves(np.array(numbers.beneath_hz), _LONGEST)

    def hear(
        self, x: F64, frame: int, key: int, before: tuple[float, float]
    ) -> tuple[list[Stretch], tuple[float, float]]:
        """Stretches in audio `x` (n,) from `frame`, n whole hops, and the amplitudes that they were compared with.

        `before`: those of the piece before; the noise after a digit must not be compared with itself.
        """
        halves = x.reshape(-1, HOP) @ self._fits[key]  # (n / HOP, 8): of a window's first half, of its second
        parts = halves[:-1, :4] + halves[1:, 4:]
        tones: Complex = parts[:, :2] + 1j * parts[:, 2:]  # (windows, 2): row, column
        size = np.abs(tones)
        top = size.max(axis=0)
        if top[0] <= _GONE * before[0] and top[1] <= _GONE * before[1]:
            return [], (_KEPT * before[0], _KEPT * before[1])
        weakest = np.minimum(size[:, 0] * top[1], size[:, 1] * top[0])  # both tones count alike, whatever the twist
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
        """The level of a digit in windows of one tone, _JUDGED_MIN or more, and their samples; None: it is no digit."""
        n, nominal, count = self._numbers, self._nominal[key], len(tones)
        whole = (tones.real**2 + tones.imag**2).sum(axis=0) / count
        slow = tones * self._still[key][:count]
        offset = _slope(slow)
        steady = np.abs((slow * _turned(-offset, count)).sum(axis=0) / count) ** 2
        hz = offset / (_RADIANS * HOP)
        off = np.abs(hz) / nominal * 100
        if off.max() > n.offset_max_percent or (steady <= n.steadiness_min * whole).any():
            return None
        row, column = (10 * math.log10(power) - 20 * math.log10(32767) + FULL_SCALE_DBM0 for power in steady.tolist())
        if min(row, column) < n.level_min_dbm0:
            return None
        if not -n.row_above_column_db <= column - row <= n.column_above_row_db:
            return None
        plain = off.max() <= n.covered_offset_max_percent and abs(column - row) <= n.covered_twist_max_db
        if self._purity(x, nominal + hz) < (n.covered_purity_min if plain else n.purity_min):
            return None
        return (row + column) / 2

    def _purity(self, x: F64, hz: F64) -> float:
        """The share of both tones in everything but dial tone."""
        x = x[:_LONGEST]
        basis = np.vstack([_waves(hz, len(x)), self._beneath[:, : len(x)]])
        # Least squares by the normal equations: eight waves, none of them near another. A tone beneath may still be
        # configured onto a row's frequency: the addition to the diagonal then divides the tone between both.
        seen = basis @ x
        share = np.linalg.solve(basis @ basis.T + _RIDGE * len(x), seen)
        tones = float(share[:4] @ share[:4]) / 2
        rest = max(float(x @ x - share @ seen), 0.0) / len(x)
        return tones / (tones + rest)


def _fit(row: float, column: float, beneath: float) -> F64:
    """(20, 8): a window's amplitudes of row and column, real then imaginary parts, from windows of 40 samples.

    Phases are those at the window's first sample. The first four columns are for a window's first half, the rest for
    its second.
    """
    phase = np.arange(2 * REACH)[:, None] * _RADIANS * np.array([row, column, beneath])
    inverse = np.linalg.pinv(np.hstack([np.cos(phase), np.sin(phase)]))
    fit = np.vstack([inverse[:2], -inverse[3:5]]).T
    return np.hstack([fit[:HOP], fit[HOP:]])


def _waves(hz: F64, length: int) -> F64:
    """(4, length): cosines and sines of two frequencies, by angle sums: one hop's waves, rotated hop by hop."""
    hops = -(-length // HOP)
    turns = _turned(_RADIANS * HOP * hz, hops)
    hop = np.exp(1j * _RADIANS * np.outer(hz, _STEPS[:HOP]))
    waves = (turns.T[:, :, None] * hop[:, None, :]).reshape(2, hops * HOP)[:, :length]
    return np.vstack([waves.real, waves.imag])


def _turned(angle: F64, count: int) -> Complex:
    """(count, 2): two rotations by constant angles, step by step, from zero."""
    turned: Complex = np.exp(1j * (_STEPS[:count, None] * angle))
    return turned


def _slope(slow: Complex) -> F64:
    """Radians a hop for each column: from steps of two hops (windows without common samples), then a line through
    all.
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
