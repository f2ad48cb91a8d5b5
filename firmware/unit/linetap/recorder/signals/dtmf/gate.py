# SPDX-License-Identifier: Apache-2.0
"""The gate of the DTMF receiver: finds the windows of 20 ms that may contain a digit, for all lines at once.

A window is two blocks of 10 ms, added coherently. A window that passes is examined closely in press.py. Arrays have
frequencies first, so that sums and maxima over frequencies are computed for many windows at once.

Below the digits lie direct current and the mains with its harmonics. A high-pass would suffice for the tones, but would
also remove the voice below 600 Hz, which identifies speech. Hum differs from a voice by its frequency, which is that of
the mains, and constant before and after the digit. Hum is therefore fitted over a stretch several times as long as a
digit, and only the fitted part is removed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import DtmfNumbers
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.codecs.g711 import power_of

FRAMES_PER_MS = 8
KEYS = "123A456B789C*0#D"  # ITU-T Q.23, row by row
ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ = (1209.0, 1336.0, 1477.0, 1633.0)


F64 = NDArray[np.float64]

CYCLE = 800  # frames: whole cycles of 50 and 60 Hz and all of their harmonics, each in its own bin
_LOST = 0.01  # the largest share of a wave's energy outside its space
BLOCK = 80
WINDOW = 2 * BLOCK
NOTHING = -1
# A tone 1.5 % off loses 3.7 dB in a window of 20 ms (1633 Hz), and the tone may fill only three quarters of the window.
_SHARE_MIN = np.float32(0.33)
_LEVEL_MARGIN_DB = 5.0
_TWIST_MAX = np.float32(10**1.4)


class HumFit:
    """The fit of hum. Stateless: one for all lines of a profile."""

    def __init__(self, numbers: DtmfNumbers) -> None:
        """Assumes mains frequencies that are multiples of 10 Hz: a power grid keeps its frequency within 0.2 Hz."""
        step = RATE_HZ / CYCLE
        hz = {base * k for base in numbers.mains_hz for k in range(1, int(numbers.hum_to_hz // base) + 1)}
        self._bins = np.array(sorted({0, *(round(f / step) for f in hz)}))

    def remove_hum(self, audio: NDArray[np.int16], count: int) -> F64:
        """The last `count` samples of `audio`, CYCLE or more, without hum and direct current."""
        spectrum = np.zeros(CYCLE // 2 + 1, np.complex128)
        spectrum[self._bins] = np.fft.rfft(audio[-CYCLE:])[self._bins]
        hum = np.fft.irfft(spectrum, CYCLE)
        if count > CYCLE:
            hum = np.concatenate([hum[2 * CYCLE - count :], hum])
        return audio[-count:] - hum[-count:]


def low_space(to_hz: float, samples: int) -> F64:
    """Orthonormal rows (d, samples) that span every wave from 0 to `to_hz`."""
    phase = 2 * np.pi / RATE_HZ * np.outer(np.linspace(0, to_hz, 41), np.arange(samples))
    waves = np.vstack([np.cos(phase), np.sin(phase)[1:]])
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    base: F64 = np.linalg.svd(waves, full_matrices=False)[2]
    for d in range(1, len(base)):
        if ((waves @ base[:d].T) ** 2).sum(axis=1).min() >= 1 - _LOST:
            return base[:d]
    return base


class Gate:
    """The gate. Stateless: one for all lines of a profile."""

    def __init__(self, numbers: DtmfNumbers) -> None:
        hz = np.array([*ROWS_HZ, *COLUMNS_HZ, *numbers.beneath_hz])
        angle = 2 * np.pi * hz[:, None] / RATE_HZ
        phase = angle * np.arange(BLOCK)
        waves = np.vstack([np.cos(phase), np.sin(phase)]) * np.sqrt(2 / WINDOW)  # (20, 80)
        self._waves = len(waves)
        self._kernel = np.ascontiguousarray(np.vstack([waves, low_space(numbers.low_hz, BLOCK)]), np.float32)
        # The second block's phases count from its own beginning and are rotated to the window's beginning.
        turn = angle * BLOCK
        self._straight = np.stack([np.cos(turn), np.cos(turn)]).astype(np.float32)  # (2, 10, 1)
        self._across = np.stack([-np.sin(turn), np.sin(turn)]).astype(np.float32)
        self._floor = np.float32(power_of(numbers.level_min_dbm0 - _LEVEL_MARGIN_DB) * WINDOW)

    def keys(self, blocks: NDArray[np.float32]) -> NDArray[np.int8] | None:
        """The index of the key that each pair of blocks may contain, or -1: `blocks` (n + 1, lines, 80) to (n, lines).

        None: no window may contain a key.
        """
        energy = np.einsum("bls,bls->bl", blocks, blocks)
        energy = energy[:-1] + energy[1:]
        loud = np.flatnonzero(energy.max(axis=0) > 2 * self._floor)
        if not len(loud):
            return None
        count, lines = energy.shape
        if len(loud) < lines:
            blocks, energy = blocks[:, loud], energy[:, loud]
        seen = np.einsum("ks,bs->kb", self._kernel, blocks.reshape(-1, BLOCK))  # einsum: see bank.py
        low = np.einsum("kb,kb->b", seen[self._waves :], seen[self._waves :])
        parts = seen[: self._waves].reshape(2, self._waves // 2, -1)
        second = parts[:, :, len(loud) :]
        both = self._straight * second
        both += self._across * second[::-1]
        both += parts[:, :, : -len(loud)]
        both *= both
        power = both[0] + both[1]
        row, column = power[:4].max(axis=0), power[4:8].max(axis=0)
        weaker, tones = np.minimum(row, column), row + column
        rest = energy.reshape(-1) - power[8] - power[9] - low[: -len(loud)] - low[len(loud) :]
        passed = np.flatnonzero((weaker > self._floor) & (tones > _SHARE_MIN * rest) & (tones < _TWIST_MAX * weaker))
        if not len(passed):
            return None
        keys = np.full((count, lines), NOTHING, np.int8)
        power = power[:, passed]
        window, place = np.divmod(passed, len(loud))
        keys[window, loud[place]] = 4 * power[:4].argmax(axis=0) + power[4:8].argmax(axis=0)
        return keys
