# SPDX-License-Identifier: Apache-2.0
"""Jobs of the recorder's main thread for the vault's thread, and the queue of those that wait for a signature.

Jobs are plain data: unfinished ones are in the checkpoint, and each may be done twice without harm. Recording needs no
signature: while the TPM that holds the unit's key does not sign, audio is still sealed and written, and every event and
the end of each call wait in order. Used under the writer's lock.
"""

from __future__ import annotations

import logging
from collections import deque

import msgspec

from linetap.tpm.device import TpmFault
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.codecs.registry import MULAW
from linetap_core.evidence.merklelog.unitlog import Kind
from linetap_core.records import CallEvent, CallRecord, Gap, Retention
from linetap_core.vaultformat.walkreport import WalkReport


class Report(msgspec.Struct, frozen=True, tag="report"):
    event: CallEvent


class Open(msgspec.Struct, frozen=True, tag="open"):
    """A call has passed its gate: its audio is written from `first_frame` of its line's ring."""

    call_id: str
    line: int
    first_frame: int


class Close(msgspec.Struct, frozen=True, tag="close"):
    """A call is over. `end_frame` None: it has no recording."""

    call_id: str
    end_frame: int | None
    record: CallRecord
    withheld: list[tuple[int, int]] = []


class LineFault(msgspec.Struct, frozen=True, tag="line_fault"):
    """A line is at fault since this time (UTC), or no longer."""

    line: int
    since_ns: int | None


class Keep(msgspec.Struct, frozen=True, tag="keep"):
    """A small report beside the calls in the vault, replaced as a whole."""

    place: str
    content: bytes


class LogLeaf(msgspec.Struct, frozen=True, tag="log_leaf"):
    """A leaf of the unit's log that is not about writing a call. `at` and `kind` identify it."""

    kind: Kind
    at: str
    fields: dict[str, str | int | float | list[str] | None] = {}


class Walked(msgspec.Struct, frozen=True, tag="walked"):
    """A walk test is over; the jobs before this one have sealed its test calls."""

    report: WalkReport


Job = Report | Open | Close | LineFault | Keep | LogLeaf | Walked


class OpenCall(msgspec.Struct):
    """One recording being written, as it stands on tmpfs: enough to go on after the recorder was killed.

    `recipient` and `inner` are K's public half and the blob only the custodians can open; K's private half is
    nowhere. `gaps` are those of the audio written so far. `epoch` is whom key.age was sealed to, and `retention` what
    that is called. `codec`: a call goes on in the one that it began with, whatever the configuration says by then.
    """

    call_id: str
    line: int
    first_frame: int
    recipient: str
    inner: bytes
    gaps: list[Gap] = []
    epoch: str = ""
    retention: Retention | None = None
    codec: str = MULAW.name


# --- Waiting for a signature ------------------------------------------------------------------------------------------


AGAIN_NS = 5 * NS_PER_S  # a hanging TPM costs seconds at each attempt
MOST = 10_000  # some 1,500 calls; beyond it new ones are refused

log = logging.getLogger("linetap.recorder.vault")


class Unsigned:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.jobs: deque[Job] = deque()
        self.fault: str | None = None  # the fault's code
        self._again_ns = 0

    @property
    def full(self) -> bool:
        return len(self.jobs) >= MOST

    def must_wait(self, job: Job) -> bool:
        """Whether other jobs wait that this one must not overtake."""
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
