# SPDX-License-Identifier: Apache-2.0
"""Whether the far end changed: the noise between sounds has another level, and keeps it.

While it rings, the line carries the exchange's own quiet; once somebody has answered, that of a room, a mobile network
or a codec. Only windows without sound count, so that no voice moves it.
"""

from __future__ import annotations

import numpy as np

from linetap.config.numbers import SoundNumbers
from linetap.recorder.signals.sound.recent import CHUNK_WINDOWS
from linetap.recorder.signals.sound.windows import F32, SIZE
from linetap.ring import RATE_HZ

_NONE = np.float32(np.nan)


class Channels:
    def __init__(self, lines: int, numbers: SoundNumbers) -> None:
        self._change = numbers.channel_change_db
        self._chunks = max(1, round(numbers.channel_ms * RATE_HZ / 1000 / (CHUNK_WINDOWS * SIZE)))
        self._quiet = numbers.channel_quiet_windows
        self._known: F32 = np.full(lines, _NONE, dtype=np.float32)  # the noise as it was
        self._other: F32 = np.full((self._chunks, lines), _NONE, dtype=np.float32)  # of the last chunks that had quiet
        self._since = np.zeros((self._chunks, lines), dtype=np.int64)

    def chunk(self, level_dbm0: F32, loud: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], frame: int) -> list[
        tuple[int, int]
    ]:  # fmt: skip
        """Level and loudness (windows, lines) to (line, since when) of each that changed."""
        quiet = np.sort(level_dbm0, axis=0)[self._quiet // 2]
        seen = (~loud).sum(axis=0) >= self._quiet
        if not seen.any():
            return []
        self._other[:, seen] = np.concatenate([self._other[1:, seen], quiet[None, seen]])
        self._since[:, seen] = np.concatenate([self._since[1:, seen], np.full((1, int(seen.sum())), frame)])
        low, high = self._other.min(axis=0), self._other.max(axis=0)
        settled = seen & (high - low < self._change / 2)
        new = settled & np.isnan(self._known)
        moved = settled & (np.abs((low + high) / 2 - self._known) >= self._change)
        self._known = np.where(new | moved, (low + high) / 2, self._known)
        return [(row, int(self._since[0, row])) for row in np.flatnonzero(moved).tolist()]
