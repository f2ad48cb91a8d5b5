# SPDX-License-Identifier: Apache-2.0
"""From the codec's interleaved bytes to the ring's planar int16 at 8 kHz, the lines in the ring's order."""

from __future__ import annotations

import numpy as np

from linetap.config.schema import Card, Line
from linetap.ring import I16, NS_PER_FRAME, RATE_HZ, SLOT_FRAMES

from .decimate import DELAY, FACTOR, Decimator

_S32_OVER_S16 = 1 << 16


class LineAudio:
    """`delay_frames` (device frames): how far the audio of a period lies before the period itself."""

    def __init__(self, card: Card, lines: list[Line]) -> None:
        self._wide = card.format == "S32_LE"
        frames = SLOT_FRAMES * card.rate_hz // RATE_HZ
        interleaved = np.zeros((frames, card.channels), np.dtype("<i4" if self._wide else "<i2"))
        self._bytes = memoryview(interleaved).cast("B")
        columns = [line.channel - 1 for line in lines]
        plain = columns == list(range(columns[0], columns[0] + len(columns)))
        # Neighbours are seen where they lie; a list of columns costs a copy every period.
        self._columns = None if plain else columns
        self._samples = interleaved[:, columns[0] : columns[0] + len(columns)] if plain else interleaved
        self._exempt = [row for row, line in enumerate(lines) if line.exempt]
        decimated = card.rate_hz == RATE_HZ * FACTOR
        self._decimator = Decimator(len(lines), _S32_OVER_S16 if self._wide else 1) if decimated else None
        self.delay_frames = DELAY if decimated else 0
        self.delay_ns = self.delay_frames * NS_PER_FRAME * RATE_HZ // card.rate_hz
        self._out: I16 = np.zeros((len(lines), SLOT_FRAMES), np.int16)

    def period(self, data: bytes) -> I16:
        """One period -> int16 (lines, 80), exempt lines zeros; overwritten by the next call."""
        self._bytes[:] = data
        samples = self._samples if self._columns is None else self._samples[:, self._columns]
        if self._decimator is not None:
            self._decimator.period(samples, self._out)
        elif self._wide:
            self._out[:] = (samples >> 16).T
        else:
            self._out[:] = samples.T
        for row in self._exempt:
            self._out[row] = 0
        return self._out

    def reset(self) -> None:
        """The next period does not follow the last one."""
        if self._decimator is not None:
            self._decimator.reset()
