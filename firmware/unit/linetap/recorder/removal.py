# SPDX-License-Identifier: Apache-2.0
"""Before the disk is pulled: calls end here, no new one is recorded, and all that was said is sealed.

It is over with another start of the recorder, or when nobody was there to unmount the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from linetap.recorder.core import Recorder
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.records import RemovalState

WHY = "removal"

log = logging.getLogger("linetap.recorder")


class Removal:
    def __init__(self, core: Recorder, vault: VaultWriter, busy: Callable[[], bool]) -> None:
        """`busy`: something is still to come to the vault."""
        self._core, self._vault, self._busy = core, vault, busy
        self._asked = False

    def begin(self) -> None:
        if not self._asked:
            log.warning("removal_asked: calls end here, and none is recorded from now on")
        self._asked = True
        self._vault.close_to_calls(WHY)
        self._core.end_calls(WHY)

    def cancel(self) -> None:
        if self._asked:
            log.warning("removal_cancelled: calls are recorded again")
        self._asked = False
        self._vault.close_to_calls(None)

    def state(self) -> RemovalState | None:
        """None: nobody has asked for it."""
        if not self._asked:
            return None
        busy = self._busy() or self._vault.being_recorded() or self._vault.unfinished()
        return "ending" if busy else "ready"
