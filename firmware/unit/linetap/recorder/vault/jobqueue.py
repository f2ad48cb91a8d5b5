# SPDX-License-Identifier: Apache-2.0
"""The queue between the recorder's other threads, which add jobs, and the vault's thread, which does them."""

from __future__ import annotations

import logging
import threading
from collections import deque

from linetap.recorder.vault.callfolder.jobs import Close, Job, Open, Report, Walked

TICK_S = 0.25
RETRY_S = 1.0
MOST_JOBS = 20_000
MOST_UNSIGNED = 10_000  # some 1,500 calls; beyond it new ones are refused

log = logging.getLogger("linetap.recorder.vault")


class JobQueue:
    """`due`: to be done, in order. `unsigned`: done but for their signatures, older than those due."""

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
        """Waits for a job, at most TICK_S. False once the thread has to end: at a stop, when all is done or nothing
        more can be (`refused`)."""
        with self.changed:
            if not self.due and not self.stopping:
                self.changed.wait(TICK_S)
            return not (self.stopping and (not self.due or refused))

    def wait_for_disk(self) -> None:
        with self.changed:
            self.changed.wait(RETRY_S)

    def must_wait(self, job: Job) -> bool:
        """Whether jobs wait for signatures that this one must not overtake."""
        return bool(self.unsigned) and isinstance(job, Report | Close | Walked)

    def done(self, *, signed: bool) -> None:
        """The first job due is done, or else it waits for its signature."""
        with self.changed:
            if not signed:
                self.unsigned.append(self.due[0])
            self.due.popleft()

    def signed(self) -> None:
        """The first of those that waited for a signature is done."""
        with self.changed:
            self.unsigned.popleft()

    def unsigned_too_many(self) -> int:
        """Returns how many jobs wait for a signature, where new calls must be refused for them, else 0."""
        return len(self.unsigned) if len(self.unsigned) >= MOST_UNSIGNED else 0
