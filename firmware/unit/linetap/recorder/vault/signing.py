# SPDX-License-Identifier: Apache-2.0
"""Whether the unit's key signs, and when it is tried again.

Recording needs no signature: while the TPM that holds the key does not sign, audio is still sealed and written; events
and the ends of calls wait in order (callfolder/jobs.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from linetap.recorder.vault.callfolder.folder import Sign
from linetap.tpm.device import TpmFault
from linetap_core.clock import NS_PER_S, Clock

AGAIN_NS = 5 * NS_PER_S  # a hanging TPM costs seconds at each attempt

_PROBE = b""

log = logging.getLogger("linetap.recorder.vault")


class Signing:
    """`fault`: the code of the fault that prevents signing, or None."""

    def __init__(self, sign: Sign, clock: Clock) -> None:
        self._sign, self._clock = sign, clock
        self.fault: str | None = None
        self._again_ns = 0

    def may_try(self) -> bool:
        return self.fault is None or self._clock.monotonic_ns() >= self._again_ns

    def attempt[*Ts](self, act: Callable[[*Ts], object], *args: *Ts) -> bool:
        """Runs `act`, which signs. False: the key did not sign, and `act` is to be repeated."""
        try:
            act(*args)
        except TpmFault as fault:
            self.failed(fault)
            return False
        return True

    def probe(self) -> None:
        """Signs nothing, before an act whose first steps would leave traces: an entry in the index and its leaf."""
        self._sign(_PROBE)

    def failed(self, fault: TpmFault) -> None:
        if self.fault is None:
            log.error("%s: %s; calls are recorded and wait for their signature", fault.code, fault)
        self.fault, self._again_ns = fault.code, self._clock.monotonic_ns() + AGAIN_NS

    def works(self) -> None:
        if self.fault is not None:
            log.warning("the unit's key signs again")
        self.fault = None
