# SPDX-License-Identifier: Apache-2.0
"""How far the codec's clock and the system's drift apart, by where the timeline's line begins, minute after minute.

The line is fitted from below (timeline.py), within a few milliseconds of the truth: over ten minutes that is some ppm,
over an hour less than one.
"""

from __future__ import annotations

from collections import deque

from linetap_core.clock import NS_PER_S

EVERY_NS = 60 * NS_PER_S
LEAST, MOST = 11, 61  # looks: ten minutes, an hour


class Drift:
    def __init__(self) -> None:
        self._looks: deque[tuple[int, float]] = deque(maxlen=MOST)
        self._due_ns = 0
        self.ppm: float | None = None  # above 0 the codec is the slower one; None before there are ten minutes of it

    def begin(self) -> None:
        """Another run of the stream: its frames are counted from another origin."""
        self._looks.clear()
        self._due_ns = 0
        self.ppm = None

    def note(self, now_ns: int, origin_ns: float) -> None:
        """`origin_ns`: when frame 0 of the run was, as it looks now."""
        if now_ns < self._due_ns:
            return
        self._looks.append((now_ns, origin_ns))
        self._due_ns = now_ns + EVERY_NS
        if len(self._looks) >= LEAST:
            first_ns, first_origin = self._looks[0]
            self.ppm = round((origin_ns - first_origin) / (now_ns - first_ns) * 1e6, 2)
