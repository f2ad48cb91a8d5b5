# SPDX-License-Identifier: Apache-2.0
"""Whether the system's clock is synchronised, and how far it is off.

chronyd steers the clock by its rate, so the kernel never learns of an offset: its 0 would be a claim, not a
measurement. What chronyd says is left for us once a minute (systemd/linetap-clock.service).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from linetap import handover
from linetap.clock import NS_PER_S, SYSTEM, Clock, kernel_clock

CHRONY = Path("/run/linetap/chrony/clock")  # a folder of chronyd's user
MOST_AGE_S = 180  # two that did not come
MOST_BYTES = 1024
_FIELDS, _OFFSET, _LEAP = 14, 4, 13  # of `chronyc -c tracking`


def clock_quality(clock: Clock = SYSTEM, chrony: Path = CHRONY) -> tuple[bool, float | None]:
    """Synchronised; ms that the clock is behind (above 0) or ahead, None where nobody measures it."""
    synced, offset_ms = kernel_clock()
    return synced, offset_ms if offset_ms is not None else chrony_offset_ms(clock, chrony)


def chrony_offset_ms(clock: Clock, path: Path) -> float | None:
    """Of a line that is not older than MOST_AGE_S and of a clock that chronyd has synchronised; else None."""
    try:
        with handover.opened(path.parent, path.name, MOST_BYTES) as (fd, size):
            fields = os.read(fd, size).decode().strip().split(",")
            written_ns = os.fstat(fd).st_mtime_ns
        offset_ms = round(float(fields[_OFFSET]) * 1000, 6)
    except (OSError, ValueError, IndexError):
        return None
    fresh = abs(clock.utc_ns() - written_ns) <= MOST_AGE_S * NS_PER_S
    known = len(fields) == _FIELDS and fields[_LEAP] != "Not synchronised" and math.isfinite(offset_ms)
    return offset_ms if fresh and known else None
