# SPDX-License-Identifier: Apache-2.0
"""What one window of 32 ms is like, for all lines at once: level, how its spectrum moves, where it peaks.

Windows do not overlap: half as many transforms, and what is asked of them, a second of a sound, is not in the edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from linetap.ring import RATE_HZ
from linetap_core.evidence.g711 import FULL_SCALE_DBM0

F32 = npt.NDArray[np.float32]

SIZE = 256  # 32 ms: 31 Hz a bin, so a voice's harmonics stand apart and a syllable is still several windows
BIN_HZ = RATE_HZ / SIZE
LOW, HIGH = 8, 110  # bins: 250 to 3400 Hz, what every line carries
_SHAPE = np.hanning(SIZE + 1)[:-1].astype(np.float32)
# Of the band's power in a window's transform, so that neither a constant nor the mains' hum is a sound.
_FULL_SCALE_DB = np.float32(FULL_SCALE_DBM0 - 10 * np.log10(32767**2 / 4 * SIZE * np.square(_SHAPE).sum()))
_TINY = np.float32(1.0)
_NARROW = 2  # bins to either side of a peak that are the peak's: a Hann window spreads a sine over as many
_BINS = np.arange(HIGH - LOW, dtype=np.float32)


class Look(NamedTuple):
    """(windows, lines) each. `flux`: 0 the spectrum of the window before, 1 nothing of it. `share`: of the power in the
    strongest peak; `pair`: in the two strongest. `centre`, `peak`: bins above LOW. `flat`: ln of flatness."""

    level_dbm0: F32
    flux: F32
    share: F32
    pair: F32
    peak: F32
    centre: F32
    flat: F32


def look(hops: F32, before: F32) -> tuple[Look, F32]:
    """Audio (windows, lines, SIZE) and the last window's shape (lines, bins) to what they are like, and the new last.

    The shape is the spectrum's amplitude, of sum 1.
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
    return Look(level, flux, first / total, (first + second) / total, place, centre, flat), amplitude[-1]


def _strongest(power: F32) -> tuple[F32, F32]:
    """Where the strongest peak stands, between the bins, and its power, which it takes out of `power`."""
    width = power.shape[2]
    top = power.argmax(axis=2)
    near = np.clip(top[:, :, None] + np.arange(-_NARROW, _NARROW + 1), 0, width - 1)
    beside = np.take_along_axis(power, near, axis=2)
    left, middle, right = (np.sqrt(beside[:, :, _NARROW + n]) for n in (-1, 0, 1))
    # Of a Hann window the two greatest amplitudes tell how far between two bins a sine stands.
    higher = np.maximum(left, right)
    place = top + np.copysign((2 * higher - middle) / (middle + higher), right - left)
    found = beside.sum(axis=2)
    np.put_along_axis(power, near, 0, axis=2)
    return place.astype(np.float32), found
