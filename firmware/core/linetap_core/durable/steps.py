# SPDX-License-Identifier: Apache-2.0
"""Whether a thread that works on the disk makes progress: it reports each step, also a look that found nothing to do.

A thread that hangs in a system call, or waits for a lock that is never released, takes no step. The main thread checks
(`stands`), writes it to the state file, and no longer feeds systemd's watchdog: the recorder is restarted, and the ring
still holds the calls.

A thread that sleeps in the kernel until the disk answers (`waits_for_disk`) is different. No signal ends it, so that
systemd could stop the rest of the recorder and not start another one before the disk answers: calls in the meantime
would be neither announced nor recorded. It is reported as well, and the watchdog is fed.
"""

from __future__ import annotations

import threading
from pathlib import Path

from linetap_core.clock import NS_PER_S, Clock

STANDS_NS = 10 * NS_PER_S  # longer than any single step, also on a flash card that erases blocks
_own = threading.local()


class Steps:
    """The steps of one thread, which alone calls these methods, but for `stands`. While it waits for work, it wakes
    in time for a step."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._last_ns: int | None = None  # None: it has not begun, or has ended
        self._thread = 0  # the kernel's thread id

    def begin(self) -> None:
        """Called by the thread itself: from now on its writes count as its steps (`step`)."""
        _own.steps = self
        self._thread = threading.get_native_id()
        self.step()

    def step(self) -> None:
        self._last_ns = self._clock.monotonic_ns()

    def end(self) -> None:
        self._last_ns = None

    def stands(self) -> bool:
        """Whether it has taken no step for STANDS_NS."""
        last_ns = self._last_ns
        return last_ns is not None and self._clock.monotonic_ns() - last_ns >= STANDS_NS

    def waits_for_disk(self) -> bool:
        """Whether it sleeps in the kernel, where no signal reaches it (`D` of proc_pid_stat(5))."""
        try:
            stat = Path(f"/proc/self/task/{self._thread}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "D"


def step() -> None:
    """Counts a durable step of the calling thread; without Steps of that thread it does nothing."""
    steps: Steps | None = getattr(_own, "steps", None)
    if steps is not None:
        steps.step()
