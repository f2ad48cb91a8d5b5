# SPDX-License-Identifier: Apache-2.0
"""How often something has happened lately: a rate for whoever looks once, which a count since the start is not."""

from __future__ import annotations

from collections import deque

from linetap_core.clock import NS_PER_S

WINDOW_S = 600
MOST = 100  # more are not counted


class Lately:
    """Of the last WINDOW_S. Times are monotonic nanoseconds and do not go back."""

    def __init__(self) -> None:
        self._moments: deque[int] = deque(maxlen=MOST)

    def note(self, now_ns: int) -> None:
        self._moments.append(now_ns)

    def count(self, now_ns: int) -> int:
        while self._moments and now_ns - self._moments[0] >= WINDOW_S * NS_PER_S:
            self._moments.popleft()
        return len(self._moments)
