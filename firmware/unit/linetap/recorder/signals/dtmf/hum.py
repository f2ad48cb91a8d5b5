# SPDX-License-Identifier: Apache-2.0
"""What lies below the digits and is none of them: direct current, and the mains with its harmonics.

A filter would do for the tones, and would also take away what gives speech away as speech: its voice below 600 Hz.
Hum is told from a voice by its frequency, which is the mains' own and stays there, before the digit and behind it.
So it is fitted over a stretch several times as long as a digit, and only what fits is taken out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import DtmfNumbers
from linetap_core.evidence.g711 import RATE_HZ

F64 = NDArray[np.float64]

CYCLE = 800  # frames: 50 and 60 Hz and all of their harmonics are whole cycles in it, each in a bin of its own
_LOST = 0.01  # at most so much of a wave's energy may lie outside the space of those like it


class HumFit:
    """Stateless: one for all lines of a profile."""

    def __init__(self, numbers: DtmfNumbers) -> None:
        """The mains' frequencies are taken as multiples of 10 Hz: a grid keeps its own within 0.2 Hz."""
        step = RATE_HZ / CYCLE
        hz = {base * k for base in numbers.mains_hz for k in range(1, int(numbers.hum_to_hz // base) + 1)}
        self._bins = np.array(sorted({0, *(round(f / step) for f in hz)}))

    def without(self, audio: NDArray[np.int16], count: int) -> F64:
        """The last `count` samples of `audio`, CYCLE or more, less what of them is hum or direct current."""
        spectrum = np.zeros(CYCLE // 2 + 1, np.complex128)
        spectrum[self._bins] = np.fft.rfft(audio[-CYCLE:])[self._bins]
        hum = np.fft.irfft(spectrum, CYCLE)
        if count > CYCLE:
            hum = np.concatenate([hum[2 * CYCLE - count :], hum])
        return audio[-count:] - hum[-count:]


def low_space(to_hz: float, samples: int) -> F64:
    """Orthonormal rows (d, samples) that hold every wave from 0 to `to_hz`."""
    phase = 2 * np.pi / RATE_HZ * np.outer(np.linspace(0, to_hz, 41), np.arange(samples))
    waves = np.vstack([np.cos(phase), np.sin(phase)[1:]])
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    base: F64 = np.linalg.svd(waves, full_matrices=False)[2]
    for d in range(1, len(base)):
        if ((waves @ base[:d].T) ** 2).sum(axis=1).min() >= 1 - _LOST:
            return base[:d]
    return base
