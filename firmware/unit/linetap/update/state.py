# SPDX-License-Identifier: Apache-2.0
"""How far an update is, on the disk: in order after a power cut at any moment, and there after the reboot between."""

from __future__ import annotations

from pathlib import Path

from linetap_core.durable.smallfile import SmallFile
from linetap_core.records import UpdateState

STATE = "state.json"

_FILE = SmallFile("update_state", UpdateState, 64 << 10)


def load(folder: Path) -> UpdateState | None:
    """None: there was never one, or it cannot be read, which is said."""
    return _FILE.look(folder / STATE)


def save(folder: Path, state: UpdateState) -> None:
    """The folder's group (it is setgid, tmpfiles.d) may read it: the recorder does."""
    _FILE.replace(folder / STATE, state)
