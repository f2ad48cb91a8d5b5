# SPDX-License-Identifier: Apache-2.0
"""A cadence that nobody has learnt: bursts of one pitch that come back regularly, as the ringback or busy tone of some
PBX does. Once its period is known, the burst that does not come, or is cut short, says that it is over."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from linetap.config.numbers import SoundNumbers
from linetap.ring import RATE_HZ

_MOST = 8
_MOST_BURSTS = 3  # in a period: three short rings


class Burst(msgspec.Struct):
    start: int
    end: int
    bins: float
    level_dbm0: float

    @property
    def frames(self) -> int:
        return self.end - self.start


class Cadence:
    """Of one line. Times are frames."""

    def __init__(self, numbers: SoundNumbers) -> None:
        self._numbers = numbers
        self._bursts: list[Burst] = []
        self.period = 0
        self.on = 0  # of the burst that is awaited
        self.due = 0  # its start

    def begins(self, start: int, bins: float, level_dbm0: float) -> bool:
        """A burst; whether it is one of a known cadence."""
        if self._bursts and abs(self._bursts[-1].bins - bins) > self._numbers.run_bins:
            self.forget()
        self._bursts = [*self._bursts, Burst(start, start, bins, level_dbm0)][-_MOST:]
        self.period = self._find()
        if self.period:
            self._expect(start)
        return self.period > 0

    def ends(self, end: int, into_quiet: bool) -> bool:
        """The burst is over; whether it was cut short: in a burst somebody has answered, or hung up."""
        if not self._bursts:
            return False
        burst = self._bursts[-1]
        burst.end = end
        return self.period > 0 and into_quiet and burst.frames < self._usual(burst) - self._slack(self.period)

    def missed(self, until: int) -> bool:
        return self.period > 0 and until > self.due + self._slack(self.period)

    def forget(self) -> None:
        self._bursts, self.period = [], 0

    @property
    def last(self) -> Burst:
        return self._bursts[-1]

    def _find(self) -> int:
        """The period of the bursts heard so far, 0 for none."""
        gaps = [after.start - before.start for before, after in pairwise(self._bursts)]
        numbers = self._numbers
        low, lone, high = map(_frames, (numbers.period_min_ms, numbers.lone_period_ms, numbers.period_max_ms))
        for bursts in range(1, _MOST_BURSTS + 1):
            period = sum(gaps[-bursts:])
            pairs = list(zip(reversed(gaps[-bursts:]), reversed(gaps[:-bursts]), strict=False))
            if low <= period <= high and pairs and all(abs(a - b) <= self._slack(period) for a, b in pairs):
                return period
        return gaps[0] if len(gaps) == 1 and lone <= gaps[0] <= high else 0

    def _usual(self, burst: Burst) -> int:
        """How long the burst of a period before was."""
        for each in self._bursts[:-1]:
            if abs(burst.start - each.start - self.period) <= self._slack(self.period):
                return each.frames
        return 0

    def _expect(self, start: int) -> None:
        due = [burst for burst in self._bursts if start - self.period + self._slack(self.period) < burst.start]
        following = min(due, key=lambda burst: burst.start)
        self.due = following.start + self.period
        self.on = self._usual(self._bursts[-1])

    def _slack(self, period: int) -> int:
        return round(period * self._numbers.period_tolerance) + _frames(self._numbers.edge_ms)


def _frames(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)
