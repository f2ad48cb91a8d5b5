# SPDX-License-Identifier: Apache-2.0
"""A measured figure with its target and method; a process's use of processor and memory, by the kernel's accounts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from linetap_core.clock import NS_PER_S, SYSTEM


class Row(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    figure: float
    unit: str
    target: float
    at_most: bool = True  # False: the target is a minimum
    method: str
    beside: dict[str, float] = {}  # results of other programs on the same samples

    @property
    def behind(self) -> list[str]:
        """The other programs with a better result on the same samples."""
        sign = 1 if self.at_most else -1
        return [name for name, figure in self.beside.items() if sign * figure < sign * self.figure]

    @property
    def meets_target(self) -> bool:
        return self.figure <= self.target if self.at_most else self.figure >= self.target


def table(rows: list[Row]) -> str:
    """A line for each figure with its method below, once for consecutive rows with the same method."""
    lines = [f"{'':58} {'measured':>12} {'target':>12}"]
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        sign = "<=" if row.at_most else ">="
        lines.append(
            f"{row.name:58} {row.figure:>8.2f} {row.unit:3} {sign} {row.target:>6g} {row.unit:3}"
            f" {'met' if row.meets_target else 'MISSED':6}  {_beside(row)}".rstrip()
        )
        if following is None or following.method != row.method:
            lines.append(f"    {row.method}")
    return "\n".join(lines)


def _beside(row: Row) -> str:
    others = ", ".join(f"{name} {figure:g}" for name, figure in row.beside.items())
    return others + (f"; behind {' and '.join(row.behind)}" if row.behind else "")


_SCHEDULED = 2  # CPUCLOCK_SCHED of clock_getcpuclockid(3), which makes a clock id from a pid


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, including ended threads, by the scheduler's clock (nanoseconds).

    utime and stime of proc_pid_stat(5) are estimated from timer ticks here: a service that wakes with every tick is
    counted as running at each tick, or at none. The sum of the threads' schedstat omits ended threads: in a desk that
    renders pages, a tenth.
    """
    return time.clock_gettime(~pid << 3 | _SCHEDULED)


def main_thread_cpu_s(pid: int) -> float:
    """CPU time of the main thread alone: in capture, without the threads of JACK's client library."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / NS_PER_S


def pss_mb(pid: int) -> float:
    """The process's memory in MiB, with shared pages divided among the processes that share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def private_mb(pid: int, but: str) -> float:
    """MiB of private pages, which another process of the kind would need again, without mappings of `but` files."""
    kib, counts = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):  # start of a mapping
            counts = but not in rest[-1]
        elif counts and first in ("Private_Clean:", "Private_Dirty:"):
            kib += int(rest[0])
    return kib / 1024


def resident_mb(pid: int) -> float:
    """All memory of the process in RAM, shared pages included, MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def peak_mb(pid: int) -> float:
    """The process's peak memory in RAM, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie; infinite without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")


def percent_of_a_core(accounts: Mapping[str, Callable[[], float]], seconds: float) -> dict[str, float]:
    """The growth of each account (CPU seconds so far) during the next `seconds`, in percent of one core."""
    started, before = SYSTEM.monotonic_ns(), {name: used_s() for name, used_s in accounts.items()}
    SYSTEM.sleep(seconds)
    elapsed = (SYSTEM.monotonic_ns() - started) / NS_PER_S
    return {name: (used_s() - before[name]) / elapsed * 100 for name, used_s in accounts.items()}
