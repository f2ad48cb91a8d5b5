# SPDX-License-Identifier: Apache-2.0
"""Which service owns which folder of `run_dir`. Each folder has one writer; tmpfiles.d creates it with the owner and
mode for that.

Without tmpfiles.d (a demo, a replay, a test, where one user runs all services) each service creates its own.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

AUDIO = "audio"  # capture's; only the recorder may read it
CALLS = "calls"  # the recorder's alone: calls in progress, the checkpoint with callers' numbers
ROOT = "root"  # root's: its report on a removal
TERMINAL = "terminal"  # root's: commands that a person brought
_OWN = "own"


def room(run_dir: Path, service: str) -> Path:
    """The folder that a service shares with the others. All captures have one, as they run as one user."""
    return run_dir / service.partition("@")[0]


def own(run_dir: Path, service: str) -> Path:
    """The folder that only the service itself may open: its lock is there, which another process could hold
    otherwise."""
    return room(run_dir, service) / _OWN


def socket_path(run_dir: Path, card: int) -> Path:
    """Capture's socket. Beside the ring: a process that may not enter the folder cannot fill the socket's queue
    either."""
    return run_dir / AUDIO / f"capture@{card}.sock"


def make(folder: Path, private: bool = False) -> Path:
    """Creates the folder if it is missing, and returns it. If that fails, the error of the later write reports it."""
    with contextlib.suppress(OSError):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700 if private else 0o750, exist_ok=True)
    return folder


def enter(run_dir: Path, service: str) -> Path:
    """`room`, created if it is missing."""
    return make(room(run_dir, service))


def enter_own(run_dir: Path, service: str) -> Path:
    enter(run_dir, service)
    return make(own(run_dir, service), private=True)
