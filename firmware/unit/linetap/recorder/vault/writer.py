# SPDX-License-Identifier: Apache-2.0
"""Writes the vault: call folders, outbox and log, in one thread, so that no disk delays the calls.

The main thread passes no audio: the ring is the queue. The main thread permits writing up to a frame, and the vault's
thread fetches and writes the audio. A disk stall shorter than the ring loses nothing. Below the reserve (admission.py)
new calls are refused and open calls continue. When the reserve is used up, jobs wait until there is room, and audio no
longer in the ring becomes a gap.

A call: `open`, `permit` and `close` here, then calljobs.py. An interrupted call: unfinishedcalls.py. Jobs that wait for
the unit's key: callfolder/jobs.py, signing.py.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from linetap.recorder.calls.ports import CallSnapshot, Stretches, final_snapshot
from linetap.recorder.vault import admission
from linetap.recorder.vault.admission import UNIT_KEY, Admission
from linetap.recorder.vault.callfolder.folder import Sign
from linetap.recorder.vault.callfolder.jobs import (
    Close,
    Job,
    JobQueue,
    Keep,
    LineFault,
    LogLeaf,
    Open,
    OpenCall,
    Report,
    Walked,
)
from linetap.recorder.vault.calljobs import open_call, resume_calls, seal_call, write_due, write_to_end
from linetap.recorder.vault.incarnation import Incarnation
from linetap.recorder.vault.retention.time import kernel_is_synced, this_boot
from linetap.recorder.vault.signing import Signing
from linetap.recorder.vault.unfinishedcalls import LeftOpen
from linetap.recorder.vault.upkeep import Upkeep
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.walks import Walks
from linetap.tpm.device import TpmFault
from linetap_core.clock import rfc3339
from linetap_core.durable import folders
from linetap_core.durable.files import replace_durably
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog.unitlog import Kind
from linetap_core.records import CallEvent, CallRecord, RecorderState
from linetap_core.vaultformat.walkreport import WalkReport
from linetap_core.watchdog import Steps

log = logging.getLogger("linetap.recorder.vault")


class VaultWriter:
    """The writer. `step()` does the due work; `start()` runs it in a thread. Other threads call the other methods."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self._queue = JobQueue()
        self._signing = Signing(vault.sign, vault.clock)
        self._left_open = LeftOpen(vault, self._queue, self._signing)
        self._admission = Admission(vault.config)
        self._thread: threading.Thread | None = None
        self._closed: str | None = None
        self._failure: BaseException | None = None
        resume_calls(vault)

    def start_upkeep(
        self,
        boot: Callable[[], str] = this_boot,
        synced: Callable[[], bool] = kernel_is_synced,
        config_file: Path | None = None,
        incarnation: Incarnation | None = None,
    ) -> Upkeep:
        """Starts and returns the upkeep, by which calls expire and commands are accepted. Call it before `start`."""
        vault = self.vault
        vault.upkeep = upkeep = Upkeep(
            vault.config, vault.log, vault.report, vault.epochs, vault.outbox, vault.clock, boot, synced, config_file,
            vault.sign, incarnation, self._left_open.add,
        )  # fmt: skip
        upkeep.time.refresh()
        if incarnation is not None and incarnation.name:
            self._name_vault(incarnation)
        return upkeep

    def _name_vault(self, incarnation: Incarnation) -> None:
        """Puts the vault's name into the first leaf and the first event of a new vault."""
        known, vault = incarnation.document, self.vault
        order: dict[str, Any] = {"number": known.number, "before": known.before} if known and known.number else {}
        if not vault.log.size:
            self._queue.add(LogLeaf("vault", incarnation.made_at, {"vault": incarnation.name, **order}))
        if vault.outbox.last_seq < vault.outbox.first_seq:
            self.report(CallEvent(seq=0, event="vault", at=incarnation.made_at, unit="", **order))

    def accept_walk_reports(self, sign: Sign) -> None:
        """Accepts reports of walk tests; call it before `start`. `sign`: bytes -> SSHSIG of namespace linetap-walk."""
        self.vault.walks = Walks(self.vault.config.vault_path, sign, self.vault.log, self.vault.report)

    # --- from the main thread -----------------------------------------------------------------------------------------

    def open(self, call_id: str, line: int, first_frame: int) -> None:
        self._queue.add(Open(call_id, line, first_frame))

    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None:
        recording = self.vault.recordings.get(call_id)
        if recording is not None and frame > recording.permitted:
            recording.withheld = withheld  # before the disk thread may continue into the withheld stretch
            recording.permitted = frame

    def snapshot(self, call_id: str, snapshot: CallSnapshot) -> None:
        if self.vault.journal is not None:
            record = self.vault.counted(snapshot.record)
            self.vault.journal.snapshot(call_id, msgspec.structs.replace(snapshot, record=record))

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        record = self.vault.counted(record)
        self.snapshot(call_id, final_snapshot(record, end_frame))
        self._queue.add(Close(call_id, end_frame, record, list(withheld)))

    def report(self, event: CallEvent) -> None:
        self._queue.add(Report(event))

    def remember_fault(self, line: int, since_ns: int | None) -> None:
        self._queue.add(LineFault(line, since_ns))

    def keep(self, place: str, content: bytes) -> None:
        """Stores a small report at this path in the vault."""
        self._queue.add(Keep(place, content))

    def log_leaf(self, kind: Kind, at_ns: int, **fields: str | int | float | list[str] | None) -> None:
        """Appends a leaf to the unit's log, of an event at `at_ns` (UTC)."""
        self._queue.add(LogLeaf(kind, rfc3339(at_ns), fields))

    def walked(self, report: WalkReport) -> None:
        """Stores the report of a walk test. Its test calls have been closed before."""
        self._queue.add(Walked(report))

    def resume_jobs(self, jobs: list[Job]) -> None:
        """Queues the jobs that the previous recorder had not finished."""
        for job in jobs:
            if isinstance(job, Close):
                self.snapshot(job.call_id, final_snapshot(job.record, job.end_frame))
            self._queue.add(job)

    def unfinished(self) -> list[Job]:
        """Returns the jobs not done yet, in order, for the checkpoint."""
        return self._queue.unfinished()

    def closing(self) -> set[str]:
        """Returns the calls that are over and not sealed yet."""
        return {job.call_id for job in self.unfinished() if isinstance(job, Close)}

    def being_recorded(self) -> set[str]:
        """Returns the calls that are being recorded or wait to be sealed."""
        return set(self.vault.recordings)

    def orphans(self, known: set[str]) -> list[OpenCall]:
        """Returns open recordings of calls that are not `known`: the checkpoint was lost."""
        known = known | self.closing()
        recordings = list(self.vault.recordings.items())  # copied at once: the vault's thread opens and seals meanwhile
        return [recording.state for call_id, recording in recordings if call_id not in known]

    def abandon(self, call_id: str) -> None:
        """Abandons a recording of an unknown call: it is sealed from its folder and the journal."""
        self._left_open.abandon(call_id)

    def take_recovered(self) -> list[CallRecord]:
        """Returns calls left open by a power cut that were sealed since the last call of this method."""
        recovered = self._left_open.recovered
        return [recovered.popleft() for _ in range(len(recovered))]

    def refused(self) -> str | None:
        """Returns the code of the reason for refusing new calls, or None."""
        return self._closed or self._admission.refused

    def refuse_calls(self, why: str | None) -> None:
        """Refuses new calls for this reason, in any state of the disk; None: accepts them again."""
        self._closed = why

    def unsigned(self) -> tuple[str | None, int]:
        """Returns the code of the fault that prevents signing, or None, and the number of waiting jobs."""
        return self._signing.fault, len(self._queue.unsigned)

    def describe(self, state: RecorderState) -> None:
        """Writes the vault's figures into the recorder's state."""
        vault = self.vault
        state.recording_refused, state.standing = self.refused(), self.standing()
        state.key_fault, state.unsigned = self.unsigned()
        state.outbox_seq, state.outbox_dropped_to = vault.outbox.last_seq, vault.outbox.dropped_to
        state.logs_kept = vault.log.kept  # logs that did not match their own head
        state.key_list = vault.epochs.state(vault.clock.utc_ns())
        state.gap_ms, state.written_bytes = round(vault.gap_ms, 3), vault.written_bytes

    def free_bytes(self) -> tuple[int, int]:
        """Returns the free bytes and all bytes of the vault's file system."""
        info = os.statvfs(self.vault.config.vault)
        return info.f_bavail * info.f_frsize, info.f_blocks * info.f_frsize

    def free_files(self) -> int | None:
        """Returns how many files can still be made; None: the file system has no limit."""
        info = os.statvfs(self.vault.config.vault)
        return info.f_favail if info.f_files else None

    @property
    def failure(self) -> BaseException | None:
        """The exception that ended one of the threads, or None."""
        journal = self.vault.journal
        return self._failure or (journal.failure if journal is not None else None)

    def standing(self) -> list[str]:
        """Returns the names of the threads that make no progress."""
        return [each.name for each in self._all_steps() if each.stands()]

    def hangs(self) -> bool:
        """Whether a thread makes no progress, except for a disk that does not answer."""
        return any(each.hangs() for each in self._all_steps())

    def _all_steps(self) -> list[Steps]:
        journal = self.vault.journal
        return [self.vault.steps, *([journal.steps] if journal is not None else [])]

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="vault", daemon=True)
        self._thread.start()
        if self.vault.journal is not None:
            self.vault.journal.start()

    def stop(self, patience_s: float) -> None:
        """Waits until the jobs are done, at most `patience_s`. The checkpoint has the rest."""
        self._queue.stop()
        if self._thread is not None:
            self._thread.join(patience_s)
        if self.vault.journal is not None:
            self.vault.journal.stop(patience_s)

    # --- the vault's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        steps = self.vault.steps
        steps.begin()
        try:
            while self._queue.wait(refused=bool(self._admission.refused)):
                if not self.step():
                    self._queue.wait_for_disk()
                steps.step()
        except Exception as error:
            log.exception("the disk thread has ended")
            self._failure = error
        finally:
            steps.end()

    def step(self) -> bool:
        """Does all jobs that can be done, then writes the due audio. False if the disk cannot be written."""
        done = self._write_all()
        if self.vault.upkeep is not None:  # on a full disk too, to make room
            self.vault.upkeep.tick(bool(self.vault.recordings), self.free_bytes)
            with contextlib.suppress(OSError):  # the next step tries again, and logs it
                self.vault.log.publish()  # includes the last leaves before a stop
        return done

    def _write_all(self) -> bool:
        try:
            self._report_new_log()
            self.vault.log_key_list()
            self.vault.index.adopt()
            if not self._left_open.is_begun:
                if not self._signing.may_try():
                    return False
                self._left_open.begin()
            self._left_open.seal_found()
            self._execute_unsigned()
            self._execute_due()
            write_due(self.vault)
            if self._signing.may_try() and self._signing.attempt(self.vault.log.publish):
                self._signing.works()
            waiting = self._queue.unsigned_too_many()
            self._admission.update(self.free_bytes()[0], self.free_files(), waiting)
        except TpmFault as fault:  # raised by `_left_open` alone: calls left by a power cut cannot be sealed
            self._signing.failed(fault)
            self._admission.refuse(str(fault), UNIT_KEY)
            return False
        except OSError as error:
            code = self._admission.disk_failed(error)
            for recording in self.vault.recordings.values():
                recording.disk_failed(code)
            return False
        return True

    def _report_new_log(self) -> None:
        """Reports a log that began anew, and drops the places of events in the old one."""
        for event in self.vault.log.pop_begun_events():
            self.vault.outbox.forget_places()
            self.report(event)
            self.vault.logged_list = None

    def _execute_due(self) -> None:
        queue = self._queue
        while queue.due:
            job = queue.due[0]
            signed = not queue.must_wait(job) and self._signing.attempt(self._execute_or_set_aside, job)
            if not signed and isinstance(job, Close):
                write_to_end(self.vault, job)
            queue.done(signed=signed)
            self.vault.steps.step()

    def _execute_unsigned(self) -> None:
        """Does the jobs that wait for a signature, in order, once the key signs again."""
        queue, signing = self._queue, self._signing
        if not queue.unsigned or not signing.may_try() or not signing.attempt(signing.probe):
            return
        while queue.unsigned and signing.may_try():
            if not signing.attempt(self._execute_or_set_aside, queue.unsigned[0]):
                return
            queue.signed()
            self.vault.steps.step()

    def _execute_or_set_aside(self, job: Job) -> None:
        """Does the job; a damaged folder is logged and does not prevent the sealing of other calls."""
        try:
            self._execute(job)
        except Refusal as refusal:
            log.error("vault_damaged: %s", refusal)

    def _execute(self, job: Job) -> None:
        vault, root = self.vault, self.vault.config.vault_path
        match job:
            case Open():
                open_call(vault, job)
            case Close():
                seal_call(vault, job)
            case Report(event):
                vault.report(event)
            case LogLeaf(kind, at, fields):
                vault.log.append(kind, at=at, **fields)
            case Keep(place, content):
                folders.make(root, (root / place).parent)
                replace_durably(root / place, content)
            case LineFault(line, since_ns):
                admission.write(root, line, since_ns)
            case Walked(report):
                assert vault.walks is not None
                vault.walks.store(report)
