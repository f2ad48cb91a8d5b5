# SPDX-License-Identifier: Apache-2.0
"""The thread that writes to the store and removes from it, so that a slow disk or network delays no reports."""

from __future__ import annotations

import queue
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog.closing import Closing, encode
from linetap_desk.copy.incoming import Call, RetentionTerm, require_whole
from linetap_desk.copy.store import Store, is_of_one_call


@dataclass(frozen=True, slots=True)
class StoreJob:
    """A job of the store: `put` has `folder` and `retention`, `close` has `closing`, `amend` has `amendment`."""

    kind: Literal["put", "close", "amend", "remove"]
    call: Call
    folder: Path | None = None
    retention: RetentionTerm = field(default_factory=RetentionTerm)
    closing: Closing | None = None
    amendment: tuple[int, bytes, str] | None = None  # its number, the document, the armored signature


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A finished job. `spoiled`: the call itself is faulty and is fetched again. `alone`: its files in the store are
    faulty. Otherwise a fault is the store's."""

    job: StoreJob
    fault: str = ""  # why it failed
    spoiled: bool = False
    alone: bool = False


class Worker:
    """The store's thread. The caller limits the number of jobs: `busy` is the number of unfinished ones."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: queue.SimpleQueue[StoreJob | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[FinishedJob] = queue.SimpleQueue()
        self._under_way: set[Call] = set()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> int:
        return len(self._under_way)

    def has(self, call: Call) -> bool:
        return call in self._under_way

    def calls_of(self, unit: str) -> list[Call]:
        return [call for call in self._under_way if call.unit == unit]

    def submit(self, job: StoreJob) -> None:
        self._under_way.add(job.call)
        self._jobs.put(job)

    def take_finished(self) -> list[FinishedJob]:
        finished = []
        while not self._finished.empty():
            finished.append(self._finished.get())
            self._under_way.discard(finished[-1].job.call)
        return finished

    def stop(self, patience_s: float) -> None:
        """Stops the thread. Jobs unfinished after `patience_s` are executed after the next start."""
        self._jobs.put(None)
        self._thread.join(patience_s)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if job.kind == "put":
                    assert job.folder is not None
                    require_whole(job.folder, job.call)
                    self._store.put(job.call.unit, job.call.call_id, job.folder)
                elif job.kind == "close":
                    assert job.closing is not None
                    self._store.put_closing(job.call.unit, job.call.call_id, encode(job.closing))
                elif job.kind == "amend":
                    assert job.amendment is not None
                    self._store.put_amendment(job.call.unit, job.call.call_id, *job.amendment)
                else:
                    self._store.remove(job.call.unit, job.call.call_id)
                self._finished.put(FinishedJob(job))
            except OSError as error:
                self._finished.put(FinishedJob(job, str(error), alone=is_of_one_call(self._store, error)))
            except Exception as error:  # noqa: BLE001 - of one call's files; without this thread nothing is copied or removed
                spoiled = job.folder is not None and isinstance(error, (Refusal, msgspec.MsgspecError))
                if spoiled and job.folder is not None:
                    shutil.rmtree(job.folder, ignore_errors=True)
                text = f"{job.call.call_id}: {error}" if spoiled else f"{type(error).__name__}: {error}"
                self._finished.put(FinishedJob(job, text, spoiled=spoiled, alone=not spoiled))
