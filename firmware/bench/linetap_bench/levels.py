# SPDX-License-Identifier: Apache-2.0
"""Levels of one line as edges at milliseconds: hook, ring detector, and the loop's voltage, whose sign is polarity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SHAKE_BATTERY_V, SHAKE_PEAK_V = -48.0, 106.0  # 75 Vrms of ringing on top of the battery
SHAKE_THRESHOLD_V = 21.0
RINGING_HZ = 20.03  # 20 nominal: no ringing machine keeps step with a meter's clock


class Track:
    """A value that changes at milliseconds. Edges may be added in any order; a later one at the same time wins."""

    def __init__(self, start: int) -> None:
        self._edges: dict[int, int] = {-1: start}
        self._times = np.zeros(0, np.int64)
        self._values = np.zeros(0, np.int32)

    def set(self, ms: int, value: int) -> None:
        self._edges[ms] = value
        self._times = np.zeros(0, np.int64)

    def clear(self, ms: int, end_ms: int) -> None:
        """Forgets the edges of [ms, end_ms]."""
        self._edges = {at: value for at, value in self._edges.items() if not ms <= at <= end_ms}
        self._times = np.zeros(0, np.int64)

    def render(self, from_ms: int, n: int) -> npt.NDArray[np.int32]:
        """int32 (n,) from millisecond `from_ms` on; before the first edge the starting value."""
        if not len(self._times):
            ordered = sorted(self._edges.items())
            self._times = np.array([ms for ms, _ in ordered], np.int64)
            self._values = np.array([value for _, value in ordered], np.int32)
        at = np.searchsorted(self._times, np.arange(from_ms, from_ms + n), side="right") - 1
        return self._values[np.maximum(at, 0)]

    def edges(self) -> list[tuple[int, int]]:
        """True changes as (ms, value), from 0 on."""
        changes = []
        value = self._edges[-1]
        for ms in sorted(self._edges):
            if ms >= 0 and self._edges[ms] != value:
                value = self._edges[ms]
                changes.append((ms, value))
        return changes


def bounce(track: Track, ms: int, value: int, bounce_ms: int, rng: np.random.Generator) -> None:
    """A contact that closes or opens at `ms` and settles on `value` after at most `bounce_ms`."""
    track.set(ms, value)
    at, level = ms, value
    while True:
        at += int(rng.integers(1, 4))
        level = 1 - level
        if at >= ms + bounce_ms:
            break
        track.set(at, level)
    track.set(ms + bounce_ms, value)


def shake(track: Track, ms: int, end_ms: int) -> None:
    """Ringing seen by a comparator without a filter: |v| falls below the threshold twice a cycle, 3.6 ms each time.

    75 Vrms at 20 Hz on -48 V against 21 V, sampled once a millisecond as the meter does.
    """
    at = np.arange(ms, end_ms)
    volts = SHAKE_BATTERY_V + SHAKE_PEAK_V * np.sin(2 * np.pi * RINGING_HZ * (at - ms) / 1000)
    closed = (np.abs(volts) < SHAKE_THRESHOLD_V).astype(int)
    for i in np.flatnonzero(np.diff(closed, prepend=0)):
        track.set(int(at[i]), int(closed[i]))
    track.set(end_ms, 0)
