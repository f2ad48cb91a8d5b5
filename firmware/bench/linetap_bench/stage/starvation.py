# SPDX-License-Identifier: Apache-2.0
"""Reports processes that were ready to run and got no processor, and machines that stood still.

A scenario plays in real time. A recorder that waits for a processor while the exchange plays on receives everything
late, which no stand-in's buffer shows. /proc/PID/schedstat has a process's waiting time as the kernel counts it. If a
host does not run its virtual machine, that machine counts nothing; there only this thread's late wake-up shows it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from linetap_bench.stage.cable import VARIABLE, report_late
from linetap_bench.stage.processes import Child
from linetap_core.clock import NS_PER_MS, SYSTEM

LOOKS_S = 0.1
TOLERATED_MS = 80  # waiting time between two checks; the smallest buffer of a stand-in is as long (Cable.fill_ms)


class StarvedProcesses:
    """Checks all of `children` during `with StarvedProcesses(children):`. Does nothing if reports are off."""

    def __init__(self, children: Sequence[Child], looks_s: float = LOOKS_S) -> None:
        self._children = children
        self._looks_s = looks_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="starved-processes", daemon=True)

    def __enter__(self) -> Self:
        if VARIABLE in os.environ:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        before: dict[int, int] = {}
        looked_ns = SYSTEM.monotonic_ns()
        while not self._over.wait(self._looks_s):
            now_ns = SYSTEM.monotonic_ns()
            report_late("the machine", (now_ns - looked_ns) / NS_PER_MS - self._looks_s * 1000 - TOLERATED_MS)
            looked_ns = now_ns
            now: dict[int, int] = {}
            for child in list(self._children):
                waited_ns = waited(child.process.pid)
                if waited_ns is None:
                    continue
                pid = child.process.pid
                now[pid] = waited_ns
                late_ms = (waited_ns - before.get(pid, waited_ns)) / NS_PER_MS
                report_late(f"{child.name}, ready and without a processor,", late_ms - TOLERATED_MS)
            before = now


def waited(pid: int) -> int | None:
    """Nanoseconds for which the process's first thread has waited for a processor; None if the process is gone or the
    kernel does not count.
    """
    try:
        fields = Path(f"/proc/{pid}/schedstat").read_text().split()
    except OSError:
        return None
    return int(fields[1]) if len(fields) == 3 else None
