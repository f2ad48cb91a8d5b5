# SPDX-License-Identifier: Apache-2.0
"""Where the lines of a recording carry a fax tone, read ahead in long pieces, and only where somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linetap.config.profile import Profile
from linetap.recorder.signals.tones.bank import HOP, WINDOW
from linetap.recorder.signals.tones.detector import fax_windows
from linetap.ring import I16, RATE_HZ

BEFORE = RATE_HZ * 300 // 1000  # what the detector may still have to tell of
PIECE_HOPS = 8 * RATE_HZ // HOP  # a notice is about so long


class FaxAhead:
    def __init__(self, audio: I16, profiles: Sequence[Profile]) -> None:
        """audio (lines, n), of the lines themselves; no `profiles`: nobody cares."""
        self._audio, self._profiles = audio, profiles
        self._fax: NDArray[np.bool_] = np.zeros((len(audio), audio.shape[1] // HOP + 1), np.bool_)
        self._read = [0] * len(audio)  # hops

    def near(self, line: int, first: int, end: int) -> bool:
        """Whether a fax tone fills a window that touches the frames from BEFORE `first` to `end`."""
        if not self._profiles:
            return False
        begin, until = max(first - BEFORE - WINDOW, 0) // HOP, min(-(-end // HOP), self._fax.shape[1])
        while self._read[line] < until:
            self._read_on(line, max(self._read[line], begin))
        return bool(self._fax[line, begin:until].any())

    def _read_on(self, line: int, hop: int) -> None:
        piece = self._audio[line, hop * HOP : (hop + PIECE_HOPS) * HOP + HOP]
        found = fax_windows(piece, self._profiles[line])
        self._fax[line, hop : hop + len(found)] = found
        self._read[line] = hop + PIECE_HOPS
