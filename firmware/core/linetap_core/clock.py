# SPDX-License-Identifier: Apache-2.0
"""The only source of time, so that tests control it.

Monotonic nanoseconds order events and measure durations; UTC nanoseconds date them. No other module of linetap reads
the machine's clocks.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
S_PER_DAY = 86_400
NS_PER_DAY = S_PER_DAY * NS_PER_S


class Clock(Protocol):
    def monotonic_ns(self) -> int: ...
    def unsteered_ns(self) -> int: ...
    def utc_ns(self) -> int: ...
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW and CLOCK_REALTIME of this machine."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def unsteered_ns(self) -> int:
        """Nanoseconds of the machine's oscillator alone, unaffected by a time server that adjusts the clock's rate."""
        if sys.platform == "win32":
            return time.perf_counter_ns()
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

    def utc_ns(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock for tests and replays: it moves only when set; `sleep` advances it."""

    def __init__(self, utc_ns: int = 0, monotonic_ns: int = 0) -> None:
        self._utc_ns = utc_ns
        self._monotonic_ns = monotonic_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def unsteered_ns(self) -> int:
        return self._monotonic_ns

    def utc_ns(self) -> int:
        return self._utc_ns

    def sleep(self, seconds: float) -> None:
        self.advance(ns_of(seconds))

    def advance(self, ns: int) -> None:
        self._monotonic_ns += ns
        self._utc_ns += ns

    def step_utc(self, ns: int) -> None:
        """Moves only UTC, as NTP does with a wrong clock."""
        self._utc_ns += ns


SYSTEM = SystemClock()
_LAST_NS = 253_402_300_799_999_999_999  # the end of the year 9999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_utc_ns(ns: int) -> datetime:
    """Aware UTC datetime, truncated to microseconds."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def utc_ns_of(moment: datetime) -> int:
    """UTC nanoseconds of an aware datetime, to the microsecond."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def ns_of(seconds: float) -> int:
    """A duration in nanoseconds."""
    return round(seconds * NS_PER_S)


def rfc3339(ns: int) -> str:
    """`2026-11-24T22:56:00.123Z`: UTC with milliseconds, the one form of time in records and reports."""
    return from_utc_ns(ns).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ns // NS_PER_MS % 1000:03d}Z"


def compact(ns: int) -> str:
    """`20261124T225600.123Z`, the form in a call_id."""
    return rfc3339(ns).replace("-", "").replace(":", "")


def parse_rfc3339(text: str) -> int:
    """UTC nanoseconds of an RFC 3339 time with a zone; ValueError names the fault."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone; write 2026-11-24T22:56:00.123Z")
    ns = utc_ns_of(moment)
    if not 0 <= ns <= _LAST_NS:  # the zone's offset can move the time out of years 1 to 9999, which cannot be formatted
        raise ValueError(f"{text!r} is before 1970 or after 9999 in UTC")
    return ns


LATEST_NS = parse_rfc3339("9000-01-01T00:00:00Z")  # years before 9999, so that a zone's hours and days can be added


# before linetap's first version: an earlier time comes from a wrong clock
FIRST_NS = parse_rfc3339("2026-01-01T00:00:00Z")


def kernel_clock() -> tuple[bool, float | None]:
    """The state of CLOCK_REALTIME by adjtimex(2): whether it is synchronised, and its offset in ms, or None if the
    kernel measures none.
    """
    timex = ctypes.create_string_buffer(256)  # all zero: modes 0 only reads
    answer = ctypes.CDLL(None).adjtimex(timex)
    _, offset, _, _, _, status = struct.unpack_from("@Iqqqqi", timex)
    return kernel_reading(answer, offset, status)


def kernel_reading(answer: int, offset: int, status: int) -> tuple[bool, float | None]:
    """The state of the clock from adjtimex's return value and two of its fields."""
    unsynchronised = 5  # TIME_ERROR
    steered = 0x0001  # STA_PLL: the kernel is given offsets; without it the offset 0 has no meaning
    nanoseconds = 0x2000  # STA_NANO: the offset is in nanoseconds, not microseconds
    offset_ms = offset / (1e6 if status & nanoseconds else 1e3)
    return answer not in (-1, unsynchronised), round(offset_ms, 6) if status & steered else None


RECENT_S = 600
MOST_RECENT = 100  # the count stops here


class RecentEvents:
    """Counts the events of the last RECENT_S, a rate: a count since the start would not describe the present. Times are
    monotonic nanoseconds and do not decrease.
    """

    def __init__(self) -> None:
        self._moments: deque[int] = deque(maxlen=MOST_RECENT)

    def add(self, now_ns: int) -> None:
        self._moments.append(now_ns)

    def count(self, now_ns: int) -> int:
        while self._moments and now_ns - self._moments[0] >= RECENT_S * NS_PER_S:
            self._moments.popleft()
        return len(self._moments)
