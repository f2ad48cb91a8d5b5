# SPDX-License-Identifier: Apache-2.0
"""How far an update is, on the disk: in order after a power cut at any moment, and there after the reboot between."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from linetap.durable.replace import replace_durably
from linetap.records import UpdateState

STATE = "state.json"
_LIMIT_BYTES = 64 << 10

log = logging.getLogger("linetap.update")


def load(folder: Path) -> UpdateState | None:
    """None: there was never one, or it cannot be read, which is said."""
    path = folder / STATE
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_LIMIT_BYTES), type=UpdateState)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.error("update_state_lost: %s: %s", path, error)
        return None


def save(folder: Path, state: UpdateState) -> None:
    """The folder's group (it is setgid, tmpfiles.d) may read it: the recorder does."""
    replace_durably(folder / STATE, msgspec.json.encode(state))
