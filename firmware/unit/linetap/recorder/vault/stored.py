# SPDX-License-Identifier: Apache-2.0
"""How many bytes of calls are in the vault, by the day they came and the day they go: what a forecast stands on.

A pure account, kept by `expiry.py`; as long as the days of the longest class, however many calls there are.
"""

from __future__ import annotations

from collections import Counter

from linetap.recorder.vault.lifetime import Lifetime
from linetap_core.clock import NS_PER_DAY, parse_rfc3339
from linetap_core.evidence import sealed

RATE_DAYS = 7  # a week has every kind of day


class Stored:
    def __init__(self) -> None:
        self._going: Counter[int] = Counter()  # bytes by the day of their end, in days of UTC since 1970
        self._came: Counter[int] = Counter()  # bytes by the day of their call
        self._first: int | None = None  # day of the oldest call ever seen

    def clear(self) -> None:
        self._going.clear()
        self._came.clear()

    def add(self, call: Lifetime) -> None:
        day = parse_rfc3339(sealed.call_time(call.call_id).isoformat()) // NS_PER_DAY
        self._came[day] += call.bytes
        self._first = day if self._first is None else min(self._first, day)
        if call.until_ns is not None:
            self._going[call.until_ns // NS_PER_DAY] += call.bytes

    def remove(self, call: Lifetime) -> None:
        """A call that has gone was still written at its time: the rate keeps it for as long as it looks back."""
        assert call.until_ns is not None
        day = call.until_ns // NS_PER_DAY
        self._going[day] -= call.bytes
        if self._going[day] <= 0:
            del self._going[day]

    def rate(self, now_ns: int) -> float:
        """Bytes a day, of the last RATE_DAYS or of as many as there are."""
        today = now_ns // NS_PER_DAY
        for day in [day for day in self._came if day < today - RATE_DAYS]:
            del self._came[day]
        if self._first is None:
            return 0.0
        days = min(RATE_DAYS, max(1, today - self._first))
        return sum(size for day, size in self._came.items() if today - days <= day <= today) / days

    def full_in_days(self, now_ns: int, room: int, kept_days: int) -> int | None:
        """In so many days `room` bytes are used up at the present rate; None: never, old calls make room in time.

        `kept_days`: of a call that comes from now on. Looked ahead as far as any of the calls now here is kept.
        """
        today, rate = now_ns // NS_PER_DAY, self.rate(now_ns)
        if rate <= 0:
            return None
        horizon = max([kept_days, *(day - today for day, size in self._going.items() if size)]) + 1
        left = float(room) + sum(size for day, size in self._going.items() if day < today)
        for ahead in range(horizon + 1):
            left += self._going[today + ahead] - rate + (rate if ahead > kept_days else 0)
            if left < 0:
                return ahead
        return None
