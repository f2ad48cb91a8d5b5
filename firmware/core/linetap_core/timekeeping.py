# SPDX-License-Identifier: Apache-2.0
"""The state of the system's clock: whether it is synchronised, its offset, and which times are impossible.

A clock can be synchronised and wrong: a GPS receiver whose week number has rolled over reports 2007 as valid. A time
before the making of this software therefore never counts as synchronised.

chronyd steers the clock by its rate, so the kernel does not have the offset: its 0 is no measurement. chronyd's own
measurement is written to a file once a minute (systemd/linetap-clock.service).
"""

from __future__ import annotations

import logging
import math
import os
from functools import cache
from pathlib import Path

from linetap_core import rundir
from linetap_core.clock import FIRST_NS, NS_PER_S, SYSTEM, Clock, kernel_clock, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.records import ClockRecord

CHRONY = Path("/run/linetap/chrony/clock")  # a folder of chronyd's user
MOST_AGE_S = 180  # two missed measurements
MOST_BYTES = 1024
RELEASE = Path("/usr/lib/linetap/release")  # in an image this file's time is that of the commit
_LAST_NS = parse_rfc3339("2200-01-01T00:00:00Z")
log = logging.getLogger("linetap")
_FIELDS, _OFFSET, _LEAP = 14, 4, 13  # fields of `chronyc -c tracking`


def clock_quality(clock: Clock = SYSTEM, chrony: Path = CHRONY) -> tuple[bool, float | None]:
    """Whether the clock is synchronised, and how many ms it is behind (above 0) or ahead; None: not measured."""
    synced, offset_ms = kernel_clock()
    synced = synced and clock.utc_ns() >= earliest_ns()
    return synced, offset_ms if offset_ms is not None else chrony_offset_ms(clock, chrony)


@cache
def earliest_ns(release: Path = RELEASE) -> int:
    """The earliest possible present time, independent of any clock."""
    try:
        built_ns = release.stat().st_mtime_ns
    except OSError:
        return FIRST_NS
    return max(FIRST_NS, built_ns) if built_ns < _LAST_NS else FIRST_NS


def kernel_synced(clock: Clock = SYSTEM) -> bool:
    """Whether the kernel reports the clock as synchronised and its time is possible."""
    return kernel_clock()[0] and clock.utc_ns() >= earliest_ns()


def is_unkept(clock: ClockRecord | None, at_ns: int) -> bool:
    """Whether the clock was unsynchronised at `at_ns`, by a record's clock; None if an old record does not say."""
    return at_ns < FIRST_NS or (clock is not None and not clock.synced)


def require_possible(clock: Clock) -> None:
    """Raises BadInput for an impossible time. Called before a desk service starts and before an officer's tool opens or
    signs anything.
    """
    PossibleClock(clock).utc_ns()


class PossibleClock:
    """A clock for processes that sign a time or decide by one: it never returns a time before the making of this
    software.

    BadInput if the system's clock is earlier than that at the start. If it is set back while the process runs, this
    clock continues from its last time by the monotonic clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[int, int] | None = None  # monotonic and UTC, ns, of the last possible time
        self._counting = False

    def utc_ns(self) -> int:
        utc_ns, mono_ns, last = self._clock.utc_ns(), self._clock.monotonic_ns(), self._last
        if utc_ns >= earliest_ns():
            self._last, self._counting = (mono_ns, utc_ns), False
            return utc_ns
        text = f"this machine's clock is at {rfc3339(utc_ns)}, before this software was made"
        if last is None:
            raise BadInput(f"{text}: set it first")
        if not self._counting:
            log.error("clock_early: %s: counted on from %s", text, rfc3339(last[1]))
        self._counting = True
        return last[1] + mono_ns - last[0]

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def unsteered_ns(self) -> int:
        return self._clock.unsteered_ns()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


KEPT: Clock = PossibleClock(SYSTEM)  # for the desk and every officer's tool


def chrony_offset_ms(clock: Clock, path: Path) -> float | None:
    """The offset in chronyd's file, if that is at most MOST_AGE_S old and the clock is synchronised; otherwise None."""
    try:
        with rundir.opened(path.parent, path.name, MOST_BYTES) as (fd, size):
            fields = os.read(fd, size).decode().strip().split(",")
            written_ns = os.fstat(fd).st_mtime_ns
        offset_ms = round(float(fields[_OFFSET]) * 1000, 6)
    except (OSError, ValueError, IndexError):
        return None
    fresh = abs(clock.utc_ns() - written_ns) <= MOST_AGE_S * NS_PER_S
    known = len(fields) == _FIELDS and fields[_LEAP] != "Not synchronised" and math.isfinite(offset_ms)
    return offset_ms if fresh and known else None
