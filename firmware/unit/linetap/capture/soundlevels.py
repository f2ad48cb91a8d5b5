# SPDX-License-Identifier: Apache-2.0
"""Line states by sound alone, in place of the meter's levels while the card's meter is silent.

A call in progress continues until its line has been silent for SILENT_MS or rings. An idle line is in use once it has
had sound for LIFT_MS; after ringing, for longer than a caller ID. Calls therefore begin and end late, flashes and dial
pulses are not detected, and a line without speech for a minute seems idle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap.board.interface import PERIOD_MS, Levels
from linetap.ring import I16, NO_VOLTS, Bits

SOUND_RMS = 90.0  # of int16: -45 dBm0, like SoundNumbers.sound_min_dbm0
LIFT_MS = 300  # of sound on a line that has not rung lately
LIFT_AFTER_RINGING_MS = 1500  # caller ID takes 1.2 s at most
RINGING_GOES_ON_MS = 8000  # without a burst: ringing is over
SILENT_MS = 60_000
# Ringing is far beyond full scale and below 70 Hz (hardware/README.md), so a period's mean is at least a third of full
# scale; that of the lowest voice is a tenth.
RING_MEAN = 8000
RING_WINDOW = 7  # periods: half a cycle at 15 Hz, and its edges
RING_MS = 150  # shorter sounds are clicks

_MOST_MS = 1 << 30
Int = npt.NDArray[np.int64]


class SoundLevels:
    """The levels of all lines of a card, a period at a time."""

    def __init__(self, lifted: Bits) -> None:
        """`lifted`: bool (lines,), the lines that were last off-hook."""
        lines = len(lifted)
        self._hook: Bits = lifted.copy()
        self._means: npt.NDArray[np.float64] = np.zeros((RING_WINDOW, lines))
        self._turn = 0
        self._ringing: Int = np.zeros(lines, np.int64)  # milliseconds, like the others
        self._since_ring: Int = np.full(lines, _MOST_MS, np.int64)
        self._sounding: Int = np.zeros(lines, np.int64)
        self._silent: Int = np.zeros(lines, np.int64)
        self._polarity: Bits = np.zeros((lines, PERIOD_MS), np.bool_)
        self._volts: I16 = np.full(lines, NO_VOLTS, np.int16)
        self._deaf = False

    def set_hook(self, levels: Levels) -> None:
        """Keeps the meter's own levels, the initial state once the meter is silent."""
        self._hook = levels.hook[:, -1]
        if self._deaf:
            self._deaf = False
            for each in (self._ringing, self._sounding, self._silent, self._means):
                each[:] = 0
            self._since_ring[:] = _MOST_MS

    def levels(self, audio: I16) -> Levels:
        """The levels of a period, from `audio` int16 (lines, samples)."""
        self._deaf = True
        samples = audio.astype(np.float64)
        mean = samples.mean(axis=1)
        rms = np.sqrt(np.maximum((samples * samples).mean(axis=1) - mean * mean, 0))
        self._means[self._turn] = np.abs(mean)
        self._turn = (self._turn + 1) % RING_WINDOW
        swings = self._means.max(axis=0) >= RING_MEAN
        self._ringing = np.where(swings, self._ringing + PERIOD_MS, 0)
        rings = self._ringing >= RING_MS
        self._since_ring = np.where(rings, 0, np.minimum(self._since_ring + PERIOD_MS, _MOST_MS))
        loud = ~swings & (rms >= SOUND_RMS)
        self._silent = np.where(loud, 0, self._silent + PERIOD_MS)
        self._sounding = np.where(loud, self._sounding + PERIOD_MS, np.maximum(self._sounding - PERIOD_MS // 5, 0))
        self._sounding[rings] = 0
        enough = np.where(self._since_ring <= RINGING_GOES_ON_MS, LIFT_AFTER_RINGING_MS, LIFT_MS)
        self._sounding = np.minimum(self._sounding, LIFT_AFTER_RINGING_MS)
        self._hook = (self._hook | (self._sounding >= enough)) & ~rings & (self._silent < SILENT_MS)
        spread = np.ones((len(rings), PERIOD_MS), np.bool_)
        return Levels(self._hook[:, None] & spread, rings[:, None] & spread, self._polarity, self._volts)
