# SPDX-License-Identifier: Apache-2.0
"""Whether new calls may be recorded: not below the reserve, not on a disk that fails, not without signatures."""

from __future__ import annotations

import errno
import logging

from linetap.config.schema import Config

UNIT_KEY = "unit_key"  # refused for want of a signature
AGAIN_BYTES = 16 << 20  # hysteresis above the reserve

log = logging.getLogger("linetap.recorder.vault")


class Admission:
    """`refused`: the code of the fault, or None. It is logged once, when it begins."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.refused: str | None = None

    def update(self, free_bytes: int, waiting: int) -> None:
        """After each turn that the disk has taken. `waiting`: jobs without a signature, where they are too many."""
        reserve_mb = self._config.storage.reserve_mb
        reserve = reserve_mb << 20
        if waiting and not self.refused:
            self.refuse(f"{waiting} things wait for a signature", UNIT_KEY)
        elif free_bytes < reserve and not self.refused:
            self.refuse(f"{free_bytes >> 20} MiB free, the reserve is {reserve_mb}")
        elif self.refused and not waiting and free_bytes >= reserve + min(AGAIN_BYTES, reserve):
            log.warning("%s is over: recording goes on", self.refused)
            self.refused = None

    def disk_failed(self, error: OSError) -> None:
        self.refuse(str(error), "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk_error")

    def refuse(self, why: str, code: str = "disk_full") -> None:
        """No effect if new calls are refused for another reason already."""
        if not self.refused:
            log.error("%s: %s: %s; new calls are not recorded until this is over", code, self._config.vault, why)
            self.refused = code
