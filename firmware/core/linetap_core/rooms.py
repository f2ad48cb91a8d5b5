# SPDX-License-Identifier: Apache-2.0
"""Which folder of `run_dir` is whose. Each has one writer; tmpfiles.d makes them with the owners and modes that say so.

Where nobody has made them (a demo, a replay, a test: one user is all services) each service makes its own.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

AUDIO = "audio"  # capture's; the recorder may enter, and nobody else
CALLS = "calls"  # the recorder's alone: calls in progress, the checkpoint with caller numbers
ROOT = "root"  # root's: what it says of a removal
TERMINAL = "terminal"  # root's: commands that a person has brought
_OWN = "own"


def room(run_dir: Path, service: str) -> Path:
    """What a service shows to the others. All captures share one, as they share a user."""
    return run_dir / service.partition("@")[0]


def own(run_dir: Path, service: str) -> Path:
    """What only itself may open: its lock, which somebody else could hold otherwise."""
    return room(run_dir, service) / _OWN


def socket_path(run_dir: Path, card: int) -> Path:
    """Of capture. Beside the ring: who cannot enter there cannot fill its queue either."""
    return run_dir / AUDIO / f"capture@{card}.sock"


def make(folder: Path, private: bool = False) -> Path:
    """The folder, made if it is missing. If it cannot be made, the writer's own error will say so."""
    with contextlib.suppress(OSError):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700 if private else 0o750, exist_ok=True)
    return folder


def enter(run_dir: Path, service: str) -> Path:
    """`room`, made if it is missing."""
    return make(room(run_dir, service))


def enter_own(run_dir: Path, service: str) -> Path:
    enter(run_dir, service)
    return make(own(run_dir, service), private=True)
