# SPDX-License-Identifier: Apache-2.0
"""The cheap half of the DTMF receiver: which windows of 20 ms may hold a digit, for all lines at once.

A window is two blocks of 10 ms, coherently added. What passes here is only worth a second look (`dtmf_press.py`).
Arrays lie with frequencies first: sums and maxima over them then run along the windows, many at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import DtmfNumbers
from linetap.recorder.signals.dtmf.hum import low_space
from linetap.recorder.signals.dtmf.keys import COLUMNS_HZ, ROWS_HZ
from linetap_core.evidence.g711 import FULL_SCALE_DBM0, RATE_HZ

BLOCK = 80
WINDOW = 2 * BLOCK
NOTHING = -1

# A tone 1.5 % off loses 3.7 dB in a window of 20 ms (1633 Hz), and the window may be filled by three quarters only.
_SHARE_MIN = np.float32(0.33)
_LEVEL_MARGIN_DB = 5.0
_TWIST_MAX = np.float32(10**1.4)


class Gate:
    """Stateless: one for all lines of a profile."""

    def __init__(self, numbers: DtmfNumbers) -> None:
        hz = np.array([*ROWS_HZ, *COLUMNS_HZ, *numbers.beneath_hz])
        angle = 2 * np.pi * hz[:, None] / RATE_HZ
        phase = angle * np.arange(BLOCK)
        waves = np.vstack([np.cos(phase), np.sin(phase)]) * np.sqrt(2 / WINDOW)  # (20, 80)
        self._waves = len(waves)
        self._kernel = np.vstack([waves, low_space(numbers.low_hz, BLOCK)]).astype(np.float32)
        # The second block's phases count from its own beginning: they are turned back to the window's.
        turn = angle * BLOCK
        self._straight = np.stack([np.cos(turn), np.cos(turn)]).astype(np.float32)  # (2, 10, 1)
        self._across = np.stack([-np.sin(turn), np.sin(turn)]).astype(np.float32)
        amplitude = 32767 * 10 ** ((numbers.level_min_dbm0 - _LEVEL_MARGIN_DB - FULL_SCALE_DBM0) / 20)
        self._floor = np.float32(amplitude**2 / 2 * WINDOW)

    def keys(self, blocks: NDArray[np.float32]) -> NDArray[np.int8] | None:
        """Of blocks (n + 1, lines, 80) to (n, lines): the index of the key that two blocks may hold, or -1.

        None: none of them may hold any.
        """
        energy = np.einsum("bls,bls->bl", blocks, blocks)
        energy = energy[:-1] + energy[1:]
        loud = np.flatnonzero(energy.max(axis=0) > 2 * self._floor)
        if not len(loud):
            return None
        count, lines = energy.shape
        if len(loud) < lines:
            blocks, energy = blocks[:, loud], energy[:, loud]
        seen = self._kernel @ blocks.reshape(-1, BLOCK).T
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
