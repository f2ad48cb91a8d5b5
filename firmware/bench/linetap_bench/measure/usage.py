# SPDX-License-Identifier: Apache-2.0
"""What a process costs, by the kernel's own accounts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from linetap_core.clock import NS_PER_S, SYSTEM

_SCHEDULED = 2  # CPUCLOCK_SCHED of clock_getcpuclockid(3), which makes a clock's number of a pid


def cpu_s(pid: int) -> float:
    """Time on a processor of a process so far, of threads that have ended too, by the scheduler's clock (nanoseconds).

    utime and stime of proc_pid_stat(5) are guessed from timer ticks here: a service that wakes with every tick is
    found running by each, or by none. The threads' schedstat, added up, forgets who has ended: in a desk that
    renders pages, a tenth.
    """
    return time.clock_gettime(~pid << 3 | _SCHEDULED)


def main_thread_cpu_s(pid: int) -> float:
    """Of the main thread alone: in capture, without the threads that JACK's client library runs in it."""
    return _runtime_s(Path(f"/proc/{pid}/task/{pid}/schedstat"))


def _runtime_s(path: Path) -> float:
    return int(path.read_text().split()[0]) / NS_PER_S


def pss_mb(pid: int) -> float:
    """Its share of memory, shared pages divided among those who share them, MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def private_mb(pid: int, but: str) -> float:
    """Pages that nobody else has, and that another process of its kind would have again, MiB; without the mappings of
    a file that has `but` in its name."""
    kib, counts = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):  # a mapping begins
            counts = but not in rest[-1]
        elif counts and first in ("Private_Clean:", "Private_Dirty:"):
            kib += int(rest[0])
    return kib / 1024


def resident_mb(pid: int) -> float:
    """All of it that is in RAM, what it shares with others included, MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def percent_of_a_core(accounts: Mapping[str, Callable[[], float]], seconds: float) -> dict[str, float]:
    """What each account (CPU seconds so far) grows by over the next `seconds`, as a share of one core."""
    started, before = SYSTEM.monotonic_ns(), {name: used_s() for name, used_s in accounts.items()}
    SYSTEM.sleep(seconds)
    elapsed = (SYSTEM.monotonic_ns() - started) / NS_PER_S
    return {name: (used_s() - before[name]) / elapsed * 100 for name, used_s in accounts.items()}
