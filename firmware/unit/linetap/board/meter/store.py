# SPDX-License-Identifier: Apache-2.0
"""The meter's samples of the last two seconds of a card, by sample number since the meter's start."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.meter.decide import Decider
from linetap.ring import I16

CAPACITY = 2048
MOST_HOLE = 100  # samples; a longer hole is not filled
MOST_AT_ONCE = CAPACITY // 2  # samples, to which a hole and a frame are added
MOST_EDGES = 64  # remembered edges, which the meter reports in addition


class Store:
    """The store: samples in as they arrive, with holes; levels out."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        lines = len(decider.limits.lines)
        self._bits = np.zeros((3, lines, CAPACITY), np.bool_)
        self._volts = np.zeros((lines, CAPACITY), np.int16)
        self._next: int | None = None  # sample
        self._first = 0  # the first sample since the last hole
        self._edges: deque[tuple[int, int, bool]] = deque(maxlen=MOST_EDGES)

    @property
    def end(self) -> int | None:
        """The sample up to which all levels are decided."""
        return None if self._next is None else self._next - self._decider.delay_ms

    def forget(self) -> None:
        """Discards all samples: the meter has restarted its count."""
        self._next = None
        self._edges.clear()
        self._decider.restart()

    def edge(self, sample: int, row: int, off_hook: bool) -> None:
        """Adds the meter's own decision, the only information on a stretch of lost samples."""
        self._edges.append((sample, row, off_hook))

    def add(self, sample: int, volts: I16) -> bool:
        """Adds int16 (lines, n) from number `sample` on. Returns False if they are older than the stored samples."""
        if self._next is not None and sample != self._next:
            if sample < self._next:
                return False
            if sample - self._next > MOST_HOLE:
                self._next = None
                self._decider.restart()
            else:
                volts = np.concatenate([self._filling(self._next, sample), volts], axis=1)
                sample = self._next
        if self._next is None:
            self._first = sample
        bits = self._decider.push(volts)
        n, delay = volts.shape[1], self._decider.delay_ms
        decided = zip(self._bits, bits, [sample - delay] * 3, strict=True)
        for kept, fresh, at in ((self._volts, volts, sample), *decided):
            first = at % CAPACITY
            fits = min(n, CAPACITY - first)
            kept[:, first : first + fits] = fresh[:, :fits]
            kept[:, : n - fits] = fresh[:, fits:]
        self._next = sample + n
        return True

    def _filling(self, first: int, end: int) -> npt.NDArray[np.int16]:
        """Returns a hole's samples: the last sample before the hole, changed by the meter's edges."""
        limits = self._decider.limits
        filled = np.repeat(self._volts[:, [(first - 1) % CAPACITY]], end - first, axis=1)
        for sample, row, off_hook in sorted(self._edges):  # edges are reported late, once they have lasted
            if first <= sample < end:
                filled[row, sample - first :] = (limits.off_hook if off_hook else limits.on_hook)[row, 0]
        return filled

    def volts(self, first: int, end: int) -> I16 | None:
        """Returns the samples from `first` up to `end`, int16 (lines, n); None if any is missing."""
        oldest = self._first if self._next is None else max(self._first, self._next - CAPACITY)
        if self._next is None or first < oldest or end > self._next:
            return None
        return self._volts[:, np.arange(first, end) % CAPACITY]

    def levels(self, last: int) -> Levels | None:
        """Returns the ten samples up to `last`; missing ones repeat the last. None: there are no samples."""
        end = self.end
        oldest = self._first if self._next is None else max(self._first, self._next - CAPACITY + MOST_HOLE)
        if end is None or end <= oldest:
            return None
        first = last - PERIOD_MS + 1
        at = first % CAPACITY
        if first >= oldest and last < end and at + PERIOD_MS <= CAPACITY:  # the usual case
            hook, ring, polarity = self._bits[:, :, at : at + PERIOD_MS].copy()
            return Levels(hook, ring, polarity, self._volts[:, at + PERIOD_MS - 1].copy())
        there = np.clip(np.arange(first, last + 1), oldest, end - 1) % CAPACITY
        hook, ring, polarity = self._bits[:, :, there]
        return Levels(hook, ring, polarity, self._volts[:, there[-1]])
