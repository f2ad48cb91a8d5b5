# SPDX-License-Identifier: Apache-2.0
"""Measures windows of 32 ms of all lines, and the last second, to separate speech, music and noise.

Windows do not overlap, which saves half of the transforms; over a second of sound the windows' edges are irrelevant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from linetap.ring import RATE_HZ
from linetap_core.codecs.g711 import FULL_SCALE_DBM0

F32 = npt.NDArray[np.float32]

SIZE = 256  # 32 ms: bins of 31 Hz separate a voice's harmonics, and a syllable still has several windows
BIN_HZ = RATE_HZ / SIZE
LOW, HIGH = 8, 110  # bins: 250 to 3400 Hz, the band of every line
_SHAPE = np.hanning(SIZE + 1)[:-1].astype(np.float32)
# For the power in the band, so that neither a constant nor mains hum counts as a sound.
_FULL_SCALE_DB = np.float32(FULL_SCALE_DBM0 - 10 * np.log10(32767**2 / 4 * SIZE * np.square(_SHAPE).sum()))
_TINY = np.float32(1.0)
_NARROW = 2  # bins on either side over which a Hann window spreads a sine
_NEAR = np.arange(-_NARROW, _NARROW + 1)
_BINS = np.arange(HIGH - LOW, dtype=np.float32)
CHUNK_WINDOWS = 8  # 256 ms: decisions are made once a chunk
CHUNKS = 5  # the last 1.3 s count
_KINDS = 7  # measures of a window that have a mean and a deviation
# Means, then deviations, of level, flux, share, pair, flatness, centre, peak; then: share of windows with little flux,
# deviation of the level from window to window, share of the level's movement at the rate of syllables.
_STILL = np.float32(0.2)  # of flux
_SYLLABLE = slice(3, 9)  # of 40 windows' transform: 2.3 to 6.3 Hz, a speaker's syllables
_BELOW_DB = 10.0  # levels further below the faintest sound count as equal
_EPS = np.float32(1e-6)
_TAPER = np.hanning(CHUNKS * CHUNK_WINDOWS + 2)[1:-1].astype(np.float32)


class Windows(NamedTuple):
    """The measures of windows, (windows, lines) each.

    `flux`: 0 same spectrum as the window before, 1 nothing in common. `share`: share of the power in the strongest
    peak; `pair`: in the two strongest. `centre`, `peak`: bins above LOW. `flat`: ln of flatness.
    """

    level_dbm0: F32
    flux: F32
    share: F32
    pair: F32
    peak: F32
    centre: F32
    flat: F32


def measure(hops: F32, before: F32) -> tuple[Windows, F32]:
    """The measures of audio `hops` (windows, lines, SIZE), and the last window's shape (lines, bins).

    `before`: the shape of the window before. A shape is the spectrum's amplitude, normalised to sum 1.
    """
    cells = np.fft.rfft(hops * _SHAPE)[:, :, LOW:HIGH]
    power: F32 = np.square(cells.real) + np.square(cells.imag) + _TINY
    total = power.sum(axis=2)
    level: F32 = np.float32(10) * np.log10(total) + _FULL_SCALE_DB
    amplitude = np.sqrt(power)
    amplitude /= amplitude.sum(axis=2, keepdims=True)
    moved = np.empty_like(amplitude)
    moved[0], moved[1:] = amplitude[0] - before, amplitude[1:] - amplitude[:-1]
    flux = np.float32(0.5) * np.abs(moved, out=moved).sum(axis=2)
    flat: F32 = np.log(power).mean(axis=2) - np.log(total / power.shape[2])
    centre: F32 = (power @ _BINS) / total
    place, first = _strongest(power)
    _, second = _strongest(power)
    return Windows(level, flux, first / total, (first + second) / total, place, centre, flat), amplitude[-1]


def _strongest(power: F32) -> tuple[F32, F32]:
    """The strongest peak's position between the bins, and its power, which is removed from `power`."""
    windows, lines, width = power.shape
    top = power.argmax(axis=2)
    near = np.clip(top[:, :, None] + _NEAR, 0, width - 1)
    near += np.arange(0, power.size, width).reshape(windows, lines, 1)
    cells = power.reshape(-1)
    beside = cells[near]
    left, middle, right = np.sqrt(beside[:, :, _NARROW - 1 : _NARROW + 2]).transpose(2, 0, 1)
    # With a Hann window the two largest amplitudes give the position of a sine between two bins.
    higher = np.maximum(left, right)
    place = top + np.copysign((2 * higher - middle) / (middle + higher), right - left)
    found = beside.sum(axis=2)
    cells[near] = 0
    return place.astype(np.float32), found


class Recent:
    """Sums of the measures over the last chunks."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self.clear()

    def clear(self) -> None:
        n = self._lines
        self._sums: F32 = np.zeros((CHUNKS, 2 * _KINDS + 3, n), dtype=np.float32)
        self._level: F32 = np.full((CHUNKS * CHUNK_WINDOWS, n), -80, dtype=np.float32)

    def forget(self, row: int) -> None:
        self._sums[:, :, row] = 0
        self._level[:, row] = -80

    def add(self, look: Windows, active: npt.NDArray[np.bool_], floor_dbm0: float) -> None:
        """Adds a chunk. Only the level of windows that are not `active` counts; no level is below `floor_dbm0`."""
        measures = np.stack([look.level_dbm0, look.flux, look.share, look.pair, look.flat, look.centre, look.peak])
        measures = np.where(active, measures, np.float32(0))
        level = np.maximum(look.level_dbm0, np.float32(floor_dbm0 - _BELOW_DB))
        sums = np.empty_like(self._sums[0])
        sums[:_KINDS] = measures.sum(axis=1)
        sums[_KINDS : 2 * _KINDS] = np.square(measures).sum(axis=1)
        sums[-3] = active.sum(axis=0)
        sums[-2] = (active & (look.flux < _STILL)).sum(axis=0)
        sums[-1] = np.square(np.diff(level, axis=0, prepend=self._level[-1:])).sum(axis=0)
        self._sums = np.concatenate([self._sums[1:], sums[None]])
        self._level = np.concatenate([self._level[CHUNK_WINDOWS:], level])

    def quietest(self) -> F32:
        """The level of the quietest window, (lines,)."""
        quietest: F32 = self._level.min(axis=0)
        return quietest

    def even(self, range_db: float, chunks: int) -> npt.NDArray[np.bool_]:
        """Whether the level stayed within `range_db` in the last chunks, (lines,)."""
        last = self._level[-chunks * CHUNK_WINDOWS :]
        even: npt.NDArray[np.bool_] = last.max(axis=0) - last.min(axis=0) <= np.float32(range_db)
        return even

    @property
    def active(self) -> F32:
        """The number of active windows, (lines,)."""
        active: F32 = self._sums[:, -3].sum(axis=0)
        return active

    def features(self) -> F32:
        """The features for `speech_score`, (2 * _KINDS + 3, lines)."""
        sums = self._sums.sum(axis=0)
        count = np.maximum(sums[-3], 1)
        mean = sums[:_KINDS] / count
        spread = np.sqrt(np.maximum(sums[_KINDS : 2 * _KINDS] / count - np.square(mean), 0))
        level = self._level - self._level.mean(axis=0)
        moves = np.square(np.abs(np.fft.rfft(level * _TAPER[:, None], axis=0)))[1:]
        syllable = moves[_SYLLABLE.start - 1 : _SYLLABLE.stop - 1].sum(axis=0) / (moves.sum(axis=0) + _EPS)
        rest = np.stack([sums[-2] / count, np.sqrt(sums[-1] / len(self._level)), syllable])
        return np.concatenate([mean, spread, rest]).astype(np.float32)

    def sound_dbm0(self, least_dbm0: float) -> F32:
        """The mean level of the windows above `least_dbm0`, (lines,)."""
        loud = self._level >= np.float32(least_dbm0)
        total: F32 = np.where(loud, self._level, np.float32(0)).sum(axis=0)
        level: F32 = np.divide(total, np.maximum(loud.sum(axis=0), 1), dtype=np.float32)
        return level


def speech_score(features: F32, weights: Sequence[float], bias: float) -> F32:
    """The score, (lines,): above 0 for speech, below for music."""
    scored: F32 = np.asarray(weights, dtype=np.float32) @ features + np.float32(bias)
    return scored
