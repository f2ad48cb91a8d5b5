# SPDX-License-Identifier: Apache-2.0
"""Whether the far end changed: the noise between sounds has another level or another band, and keeps it.

While it rings, the line carries the exchange's own quiet; once somebody has answered, that of a room, a mobile network
or a codec. Only windows without sound count, so that no voice moves it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap.config.numbers import SoundNumbers
from linetap.recorder.signals.sound.recent import CHUNK_WINDOWS
from linetap.recorder.signals.sound.windows import F32, SIZE
from linetap.ring import RATE_HZ

Bools = npt.NDArray[np.bool_]

_NONE = np.float32(np.nan)


class Channels:
    def __init__(self, lines: int, numbers: SoundNumbers) -> None:
        self._change = np.array([[numbers.channel_change_db], [numbers.channel_change_bins]], dtype=np.float32)
        self._chunks = max(1, round(numbers.channel_ms * RATE_HZ / 1000 / (CHUNK_WINDOWS * SIZE)))
        self._quiet = numbers.channel_quiet_windows
        self._least = np.float32(numbers.channel_least_dbm0)
        # Level and centre of the noise: as it was, and of the last chunks that had quiet.
        self._known: F32 = np.full((2, lines), _NONE, dtype=np.float32)
        self._other: F32 = np.full((self._chunks, 2, lines), _NONE, dtype=np.float32)
        self._since = np.zeros((self._chunks, lines), dtype=np.int64)

    def chunk(self, level_dbm0: F32, centre: F32, loud: Bools, frame: int) -> list[tuple[int, int]]:
        """Of windows (windows, lines) to (line, since when) of each that changed."""
        seen = (~loud).sum(axis=0) >= self._quiet
        if not seen.any():
            return []
        level = np.maximum(np.sort(level_dbm0, axis=0)[self._quiet // 2], self._least)
        quiet = np.where(loud, np.float32(0), centre).sum(axis=0) / np.maximum((~loud).sum(axis=0), 1)
        now = np.stack([level, quiet]).astype(np.float32)
        self._other[:, :, seen] = np.concatenate([self._other[1:, :, seen], now[None, :, seen]])
        self._since[:, seen] = np.concatenate([self._since[1:, seen], np.full((1, int(seen.sum())), frame)])
        low, high = self._other.min(axis=0), self._other.max(axis=0)
        middle = (low + high) / 2
        settled = seen & (high - low < self._change / 2).all(axis=0)
        new = settled & np.isnan(self._known[0])
        moved = settled & (np.abs(middle - self._known) >= self._change).any(axis=0)
        self._known = np.where(new | moved, middle, self._known)
        return [(row, int(self._since[0, row])) for row in np.flatnonzero(moved).tolist()]
