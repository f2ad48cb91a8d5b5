# SPDX-License-Identifier: Apache-2.0
"""One thread of a service stopped, and no other: what a system call that never returns looks like from outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from guest import LIMIT_S, Guest

_SEIZE, _INTERRUPT = 0x4206, 0x4207  # ptrace(2)
_WALL = 0x40000000  # waitpid(2): threads too
_LIBC = ctypes.CDLL(None, use_errno=True)


def threads_of(guest: Guest, service: str) -> list[int]:
    """The threads of the service's main process, as this machine numbers them, the first one first."""
    pid = guest.property(service, "MainPID")
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            numbers = next(line.split()[1:] for line in status.read_text().splitlines() if line.startswith("NSpid"))
            if len(numbers) > 1 and numbers[-1] == pid and guest.is_in(status.parent):
                return sorted(int(task.name) for task in (status.parent / "task").iterdir())
    raise AssertionError(f"no process of {service}")


@contextlib.contextmanager
def held(thread: int) -> Iterator[None]:
    """Holds the thread until its process is killed, which has to happen before this ends."""
    _ptrace(_SEIZE, thread)
    _ptrace(_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    # A process is gone only when whoever traces a thread of it has heard of that thread's end.
    end = threading.Thread(target=_wait, args=(thread,), daemon=True)
    end.start()
    yield
    end.join(LIMIT_S)


def _wait(thread: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while not os.WIFSIGNALED(os.waitpid(thread, _WALL)[1]):
            pass


def _ptrace(request: int, thread: int) -> None:
    if _LIBC.ptrace(request, thread, None, None):
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}, {thread})")
