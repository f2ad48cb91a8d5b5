# SPDX-License-Identifier: Apache-2.0
"""Jobs of the recorder's main thread for the vault's thread: plain data, and the queue between the threads.

Unfinished jobs are in the checkpoint; each may be done twice without harm.
"""

from __future__ import annotations

import logging
import threading
from collections import deque

import msgspec

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
    """The line is at fault since this time (UTC), or no longer at fault."""

    line: int
    since_ns: int | None


class Keep(msgspec.Struct, frozen=True, tag="keep"):
    """A small report beside the calls in the vault, replaced as a whole."""

    place: str
    content: bytes


class LogLeaf(msgspec.Struct, frozen=True, tag="log_leaf"):
    """A leaf of the unit's log that does not belong to the writing of a call. `at` and `kind` identify it."""

    kind: Kind
    at: str
    fields: dict[str, str | int | float | list[str] | None] = {}


class Walked(msgspec.Struct, frozen=True, tag="walked"):
    """A walk test is over; the jobs before this one have sealed its test calls."""

    report: WalkReport


Job = Report | Open | Close | LineFault | Keep | LogLeaf | Walked


class OpenCall(msgspec.Struct):
    """The state on tmpfs of a recording being written, from which a recorder continues after a kill.

    `recipient` is K's public half and `inner` the blob that only the custodians can open; K's private half is not
    stored. `gaps` are those of the audio written so far. `epoch` is the recipient of key.age, `retention` its
    name. `codec`: a call keeps its first codec if the configuration changes.
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


TICK_S = 0.25
RETRY_S = 1.0
MOST_JOBS = 20_000
MOST_UNSIGNED = 10_000  # some 1,500 calls; beyond this number new calls are refused

log = logging.getLogger("linetap.recorder.vault")


class JobQueue:
    """The queue. `due`: jobs to do, in order. `unsigned`: older jobs, done except for their signatures."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.due: deque[Job] = deque()
        self.unsigned: deque[Job] = deque()
        self.stopping = False
        self._passed_over = 0

    def add(self, job: Job) -> None:
        with self.changed:
            if len(self.due) >= MOST_JOBS and not isinstance(job, Open | Close):
                if not self._passed_over:  # of refused calls; ends of recorded calls are always queued
                    log.error("jobs_passed_over: the vault could not be written for %d jobs", MOST_JOBS)
                self._passed_over += 1
                return
            self.due.append(job)
            self.changed.notify()

    def unfinished(self) -> list[Job]:
        """Returns the jobs not done yet, in order."""
        with self.changed:
            return [*self.unsigned, *self.due]

    def stop(self) -> None:
        with self.changed:
            self.stopping = True
            self.changed.notify()

    def wait(self, *, refused: bool) -> bool:
        """Waits for a job, at most TICK_S. False if the thread must end: at a stop, once all jobs are done or none can
        be done (`refused`)."""
        with self.changed:
            if not self.due and not self.stopping:
                self.changed.wait(TICK_S)
            return not (self.stopping and (not self.due or refused))

    def wait_for_disk(self) -> None:
        with self.changed:
            self.changed.wait(RETRY_S)

    def must_wait(self, job: Job) -> bool:
        """Whether this job must wait for earlier jobs without signatures."""
        return bool(self.unsigned) and isinstance(job, Report | Close | Walked)

    def done(self, *, signed: bool) -> None:
        """Removes the first due job, which is done or waits for its signature."""
        with self.changed:
            if not signed:
                self.unsigned.append(self.due[0])
            self.due.popleft()

    def signed(self) -> None:
        """Removes the first job that waited for a signature: it is done."""
        with self.changed:
            self.unsigned.popleft()

    def unsigned_too_many(self) -> int:
        """Returns the number of jobs that wait for a signature if new calls must be refused for them, else 0."""
        return len(self.unsigned) if len(self.unsigned) >= MOST_UNSIGNED else 0
