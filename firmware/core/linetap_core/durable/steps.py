# SPDX-License-Identifier: Apache-2.0
"""Whether a thread that works on the disk gets on: it reports each step, also that it has looked and had nothing to do.

A thread that hangs in a system call, or waits for a lock that nobody gives back, takes no step. The main thread
looks (`stands`), says so in the state file, and systemd is no longer fed: the recorder is started anew, and the ring
still holds the calls.

A thread that sleeps in the kernel until the disk answers (`waits_for_disk`) is another matter. No signal ends it, so
systemd could end the rest of the recorder and start no other before the disk answers: calls that come meanwhile would
be neither announced nor recorded. It is named all the same, and systemd is fed.
"""

from __future__ import annotations

import threading
from pathlib import Path

from linetap_core.clock import NS_PER_S, Clock

STANDS_NS = 10 * NS_PER_S  # no single step takes so long, on a flash card that clears its blocks either
_own = threading.local()


class Steps:
    """Of one thread, which calls everything here but `stands`. Where it waits for work, it wakes in time to step."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._last_ns: int | None = None  # None: it has not begun, or has ended
        self._thread = 0  # as the kernel numbers it

    def begin(self) -> None:
        """Called by the thread itself: from now on what it writes counts as its steps (`step`)."""
        _own.steps = self
        self._thread = threading.get_native_id()
        self.step()

    def step(self) -> None:
        self._last_ns = self._clock.monotonic_ns()

    def end(self) -> None:
        self._last_ns = None

    def stands(self) -> bool:
        """It has not taken a step for STANDS_NS."""
        last_ns = self._last_ns
        return last_ns is not None and self._clock.monotonic_ns() - last_ns >= STANDS_NS

    def waits_for_disk(self) -> bool:
        """It sleeps in the kernel, where no signal reaches it (`D` of proc_pid_stat(5))."""
        try:
            stat = Path(f"/proc/self/task/{self._thread}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "D"


def step() -> None:
    """The thread that calls this has got on by one durable step; of a thread without Steps it says nothing."""
    steps: Steps | None = getattr(_own, "steps", None)
    if steps is not None:
        steps.step()
