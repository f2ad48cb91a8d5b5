# SPDX-License-Identifier: Apache-2.0
"""Dates each frame of the codec: a straight line through (clock, frames counted), fitted from below.

A process is woken late, never early, so no frame is later than the moment of its count. An observation below the
straight line lowers it at once; an observation above raises it slowly, which also follows the codec's drift. Rejected:
least squares, since scheduling delay is one-sided and would delay the straight line by its mean. A position that stays
far behind means that frames were lost silently (a stopped process, a USB device that dropped out).

The drift between codec and system clock is measured by the straight line's origin, minute after minute. The origin is
within a few milliseconds of the truth, which is some ppm over ten minutes and less than one over an hour.
"""

from __future__ import annotations

from collections import deque

from linetap_core.clock import NS_PER_MS, NS_PER_S

CREEP = 1 / 256  # share of the distance for each observation; at 10 ms a codec 100 ppm slow lags 0.26 ms
JUMP_NS = 100 * NS_PER_MS  # further behind than by scheduling, but within the ALSA ring (200 ms)
EVERY_NS = 60 * NS_PER_S
LEAST, MOST = 11, 61  # observations: ten minutes, an hour


class Timeline:
    """The dates of frames. Positions are device frames from the first of a run, which ends with the stream's restart.

    Between `begin` and the first `observe` a query is an error.
    """

    def __init__(self, rate_hz: int) -> None:
        self._ns_per_frame = NS_PER_S / rate_hz
        self._origin_ns: float | None = None

    def begin(self) -> None:
        """Discards the straight line: the stream starts again."""
        self._origin_ns = None

    def observe(self, now_ns: int, position: int) -> bool:
        """Adds an observation: `position` frames captured at `now_ns`. True: a jump, which changes no date."""
        seen = now_ns - position * self._ns_per_frame
        if self._origin_ns is None or seen <= self._origin_ns:
            self._origin_ns = seen
            return False
        late = seen - self._origin_ns
        if late > JUMP_NS:
            return True
        self._origin_ns += late * CREEP
        return False

    @property
    def origin_ns(self) -> float:
        """The present estimate of the time of frame 0 of this run; its growth is the codec's drift."""
        assert self._origin_ns is not None, "nothing observed in this run"
        return self._origin_ns

    def ns_at(self, position: int) -> int:
        """The CLOCK_MONOTONIC nanoseconds of frame `position`."""
        assert self._origin_ns is not None, "nothing observed in this run"
        return round(self._origin_ns + position * self._ns_per_frame)


def frames_between(start_ns: int, end_ns: int, ns_per_frame: int) -> int:
    """The number of frames in a hole, rounded; 0 if the clocks overlap within their error."""
    return max(0, round((end_ns - start_ns) / ns_per_frame))


class Drift:
    """The codec's drift against the system clock."""

    def __init__(self) -> None:
        self._observed: deque[tuple[int, float]] = deque(maxlen=MOST)
        self._due_ns = 0
        self.ppm: float | None = None  # above 0: the codec is slow; None in the first ten minutes

    def begin(self) -> None:
        """Begins another run of the stream; its frames have another origin."""
        self._observed.clear()
        self._due_ns = 0
        self.ppm = None

    def observe(self, now_ns: int, origin_ns: float) -> None:
        """Adds an observation. `origin_ns`: the present estimate of the time of frame 0 of the run."""
        if now_ns < self._due_ns:
            return
        self._observed.append((now_ns, origin_ns))
        self._due_ns = now_ns + EVERY_NS
        if len(self._observed) >= LEAST:
            first_ns, first_origin = self._observed[0]
            self.ppm = round((origin_ns - first_origin) / (now_ns - first_ns) * 1e6, 2)
