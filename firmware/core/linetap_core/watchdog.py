# SPDX-License-Identifier: Apache-2.0
"""Notifies systemd (sd_notify(3)) that the service is ready, and feeds its watchdog while the service makes
progress.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.records import ServiceState

_FEEDS = 4  # per watchdog period; more would only cost systemd time


class Supervisor:
    """The connection to systemd; does nothing without $NOTIFY_SOCKET."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket's name
        self._every_ns = int(os.environ.get("WATCHDOG_USEC", "0")) * 1000 // _FEEDS
        self._fed_ns = 0
        self._progress: int | None = None

    def notify(self, state: ServiceState, idle: bool, despite_fault: bool = False, stands: bool = False) -> None:
        """Sends READY=1 with the first state, then WATCHDOG=1 if there was progress since the last one, or no work.

        systemd restarts a service without progress, because its watchdog is not fed. `despite_fault`: the service works
        although its state has a fault; `stands`: one of its threads hangs, whatever the others do.
        """
        if not self._address or stands or (state.fault is not None and not despite_fault):
            return
        if self._progress is None:
            self._send("READY=1")
        elif state.mono_ns - self._fed_ns >= self._every_ns and (idle or state.progress != self._progress):
            self._send("WATCHDOG=1")
        else:
            return
        self._progress, self._fed_ns = state.progress, state.mono_ns

    def _send(self, word: str) -> None:
        if sys.platform == "win32":  # Windows has no systemd
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.sendto(word.encode("ascii"), socket.MSG_DONTWAIT, self._address)


# ----------------------------------------------------------------------------------------------------------------------
# The progress of a thread that works on the disk: it reports each step, even a check that found no work. A thread that
# hangs in a system call, or waits for a lock that is never released, takes no step. The main thread detects this
# (`stands`), writes it to the state file, and no longer feeds systemd's watchdog: the recorder is restarted, and the
# calls are still in the ring.
#
# A thread that sleeps in the kernel until the disk answers (`waits_for_disk`) is different. No signal ends it: systemd
# could stop the rest of the recorder, but not start another one before the disk answers, and calls in the meantime
# would be neither announced nor recorded. It is reported as well, but the watchdog is fed.


STANDS_NS = 10 * NS_PER_S  # longer than any single step, also on a flash card that erases blocks
_own = threading.local()


class Steps:
    """The steps of one thread, the only caller of these methods except `stands`. While it waits for work, it wakes in
    time for a step.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._last_ns: int | None = None  # None: not begun, or ended
        self._thread = 0  # the kernel's thread id

    def begin(self) -> None:
        """Called by the thread itself: its writes count as steps (`step`) from now on."""
        _own.steps = self
        self._thread = threading.get_native_id()
        self.step()

    def step(self) -> None:
        self._last_ns = self._clock.monotonic_ns()

    def end(self) -> None:
        self._last_ns = None

    def stands(self) -> bool:
        """Whether the thread has made no step for STANDS_NS."""
        last_ns = self._last_ns
        return last_ns is not None and self._clock.monotonic_ns() - last_ns >= STANDS_NS

    def hangs(self) -> bool:
        """Whether the thread makes no step, except for a disk that does not answer."""
        return self.stands() and not self.waits_for_disk()

    def waits_for_disk(self) -> bool:
        """Whether the thread sleeps in the kernel, where no signal reaches it (`D` of proc_pid_stat(5))."""
        try:
            stat = Path(f"/proc/self/task/{self._thread}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "D"


def step() -> None:
    """Counts a durable step of the calling thread; does nothing for a thread without Steps."""
    steps: Steps | None = getattr(_own, "steps", None)
    if steps is not None:
        steps.step()
