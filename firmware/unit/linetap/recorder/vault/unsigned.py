# SPDX-License-Identifier: Apache-2.0
"""What waits for a signature, while the TPM that holds the unit's key does not give one.

Recording needs no signature: audio goes on being sealed and written. A call's end, and every event, waits here in its
order until the TPM is back; with the other jobs it stands in the checkpoint. Used under the writer's lock.
"""

from __future__ import annotations

import logging
from collections import deque

from linetap.recorder.vault.jobs import Close, Job, Report, Walked
from linetap.tpm.device import TpmFault
from linetap_core.clock import NS_PER_S, Clock

AGAIN_NS = 5 * NS_PER_S  # a TPM that hangs costs seconds each time it is asked
MOST = 10_000  # some 1,500 calls: from then on new ones are refused

log = logging.getLogger("linetap.recorder.vault")


class Unsigned:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.jobs: deque[Job] = deque()
        self.fault: str | None = None  # its code
        self._again_ns = 0

    @property
    def full(self) -> bool:
        return len(self.jobs) >= MOST

    def must_wait(self, job: Job) -> bool:
        """Others wait before it, and it would overtake them."""
        return bool(self.jobs) and isinstance(job, Report | Close | Walked)

    def may_try(self) -> bool:
        return self.fault is None or self._clock.monotonic_ns() >= self._again_ns

    def failed(self, fault: TpmFault) -> None:
        if self.fault is None:
            log.error("%s: %s; calls are recorded and wait for their signature", fault.code, fault)
        self.fault, self._again_ns = fault.code, self._clock.monotonic_ns() + AGAIN_NS

    def works(self) -> None:
        if self.fault is not None:
            log.warning("the unit's key signs again")
        self.fault = None
