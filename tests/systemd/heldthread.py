# SPDX-License-Identifier: Apache-2.0
"""Stops one thread of a service: the effect of a system call that never returns."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from guest import LIMIT_S, Guest, until

from linetap_core.clock import SYSTEM

_SEIZE, _INTERRUPT = 0x4206, 0x4207  # ptrace(2)
_WALL = 0x40000000  # waitpid(2): threads too
LOOKS, LOOK_EVERY_S = 10, 0.02
_LIBC = ctypes.CDLL(None, use_errno=True)


def threads_of(guest: Guest, service: str) -> list[int]:
    """The threads of the service's main process, by this machine's numbers, the main thread first."""
    pid = guest.property(service, "MainPID")
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            numbers = next(line.split()[1:] for line in status.read_text().splitlines() if line.startswith("NSpid"))
            if len(numbers) > 1 and numbers[-1] == pid and guest.is_in(status.parent):
                return sorted(int(task.name) for task in (status.parent / "task").iterdir())
    raise AssertionError(f"no process of {service}")


@contextlib.contextmanager
def held(thread: int) -> Iterator[None]:
    """Holds the thread until its process is killed, which must happen before the end of the block.

    It waits until the thread waits for work: a thread that runs, as after a start, has Python's lock, and its process
    would be killed without a word of any thread.
    """
    until(lambda: _waits(thread), "the thread waits for work")
    _ptrace(_SEIZE, thread)
    _ptrace(_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    # A process only disappears when the tracer of its thread has been notified of that thread's end.
    end = threading.Thread(target=_wait, args=(thread,), daemon=True)
    end.start()
    yield
    end.join(LIMIT_S)


def _waits(thread: int) -> bool:
    """Whether the thread sleeps on a lock at each of some looks."""
    looks = []
    for _ in range(LOOKS):
        looks.append(Path(f"/proc/{thread}/wchan").read_text().startswith("futex"))
        SYSTEM.sleep(LOOK_EVERY_S)
    return all(looks)


def _wait(thread: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while not os.WIFSIGNALED(os.waitpid(thread, _WALL)[1]):
            pass


def _ptrace(request: int, thread: int) -> None:
    if _LIBC.ptrace(request, thread, None, None):
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}, {thread})")
