# SPDX-License-Identifier: Apache-2.0
"""The time of each frame of the codec on the line: a straight line through (clock, frames counted), fitted from below.

A process is woken late, never early, so no frame can be younger than the moment it was counted: an observation below
the line pulls it down at once, one above raises it slowly, which also follows the codec's drift. Rejected: least
squares, since scheduling delay is one-sided and would push the line late by its mean. A position that stays far behind
the line means that frames were lost silently (a stopped process, a USB device that dropped out).

The drift between codec and system clock is measured by the line's origin, minute after minute: it is within a few
milliseconds of the truth, which over ten minutes is some ppm, over an hour less than one.
"""

from __future__ import annotations

from collections import deque

from linetap_core.clock import NS_PER_MS, NS_PER_S

CREEP = 1 / 256  # of the distance in each observation; at 10 ms a codec 100 ppm slow lags 0.26 ms
JUMP_NS = 100 * NS_PER_MS  # further behind than scheduling explains while the ALSA ring (200 ms) is not yet over
EVERY_NS = 60 * NS_PER_S
LEAST, MOST = 11, 61  # observations: ten minutes, an hour


class Timeline:
    """Positions count device frames from the first one of a run; a run lasts from one start of the stream to the next.

    Between `begin` and the first `observe` nothing is known, and a query is an error.
    """

    def __init__(self, rate_hz: int) -> None:
        self._ns_per_frame = NS_PER_S / rate_hz
        self._origin_ns: float | None = None

    def begin(self) -> None:
        """Forgets the line: the stream starts again."""
        self._origin_ns = None

    def observe(self, now_ns: int, position: int) -> bool:
        """`position` frames had been captured at `now_ns`. True when that is a jump; the line then stays as it was."""
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
        """The time of frame 0 of this run as estimated now: its growth is the codec's drift."""
        assert self._origin_ns is not None, "nothing observed in this run"
        return self._origin_ns

    def ns_at(self, position: int) -> int:
        """CLOCK_MONOTONIC nanoseconds of frame `position`."""
        assert self._origin_ns is not None, "nothing observed in this run"
        return round(self._origin_ns + position * self._ns_per_frame)


def frames_between(start_ns: int, end_ns: int, ns_per_frame: int) -> int:
    """Whole frames in a hole, to the nearest; 0 where the clocks overlap within their error."""
    return max(0, round((end_ns - start_ns) / ns_per_frame))


class Drift:
    """The codec's drift against the system clock."""

    def __init__(self) -> None:
        self._observed: deque[tuple[int, float]] = deque(maxlen=MOST)
        self._due_ns = 0
        self.ppm: float | None = None  # above 0 the codec is slower; None in the first ten minutes

    def begin(self) -> None:
        """Begins another run of the stream, whose frames have another origin."""
        self._observed.clear()
        self._due_ns = 0
        self.ppm = None

    def observe(self, now_ns: int, origin_ns: float) -> None:
        """`origin_ns`: the time of frame 0 of the run, as estimated now."""
        if now_ns < self._due_ns:
            return
        self._observed.append((now_ns, origin_ns))
        self._due_ns = now_ns + EVERY_NS
        if len(self._observed) >= LEAST:
            first_ns, first_origin = self._observed[0]
            self.ppm = round((origin_ns - first_origin) / (now_ns - first_ns) * 1e6, 2)
