# SPDX-License-Identifier: Apache-2.0
"""An exchange whose loop stalls for 300 ms, half a second into its script: longer than its playback buffer."""

from __future__ import annotations

import sys

from linetap_bench.exchange import command
from linetap_bench.exchange.exchange import Exchange
from linetap_core.clock import SYSTEM

AFTER_SAMPLES = 4000
STALL_S = 0.3


class LazyExchange(Exchange):
    _lazy = True

    def _align(self) -> None:
        super()._align()
        begins = self._feed.begins_at
        if self._lazy and begins is not None and self._written > begins + AFTER_SAMPLES:
            self._lazy = False
            SYSTEM.sleep(STALL_S)


vars(command)["Exchange"] = LazyExchange
sys.exit(command.main())
