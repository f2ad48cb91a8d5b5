# SPDX-License-Identifier: Apache-2.0
"""The only writer of the vault: call folders, outbox and log, in one thread, so that no disk holds up the calls.

The main thread passes no audio: the ring is the queue. It says up to which frame a recording may go, and this thread
writes the rest, from the journal's thread where that has encoded it already, else from the ring. A disk that stalls
for less time than the ring holds costs nothing. Below the reserve (room.py) new calls are refused and open calls go on.
When the reserve is used up, jobs wait until there is room, and audio that the ring no longer holds becomes a gap.

The file is long because it is both sides of one queue: what the main thread may call, and what the disk thread does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from linetap.config.schema import Config
from linetap.recorder.calls.ports import AudioSource, CallNote, Stretches, last_note
from linetap.recorder.vault import linefaults
from linetap.recorder.vault.callfolder.folder import Sign, seal_without_audio
from linetap.recorder.vault.callfolder.jobs import (
    Close,
    Job,
    Keep,
    LineFault,
    LogLeaf,
    Open,
    OpenCall,
    Report,
    Unsigned,
    Walked,
)
from linetap.recorder.vault.incarnation import Incarnation
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.journal.missingaudio import Start
from linetap.recorder.vault.journal.opencalls import FoundCall
from linetap.recorder.vault.journal.recovery import recover
from linetap.recorder.vault.leftopen import LeftOpen
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.recordings.index import Index
from linetap.recorder.vault.recordings.recording import Recording, open_calls
from linetap.recorder.vault.retention.epochs import CLOCKS_DIFFER_NS, Epochs
from linetap.recorder.vault.retention.time import kernel_says_synced, this_boot
from linetap.recorder.vault.room import UNIT_KEY, Room
from linetap.recorder.vault.upkeep import Upkeep
from linetap.recorder.vault.walks import Walks
from linetap.ring import RATE_HZ
from linetap.tpm.device import TpmFault
from linetap_core import rooms
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import files
from linetap_core.durable.files import replace_durably
from linetap_core.durable.steps import Steps
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.unitlog import Kind
from linetap_core.records import CallEvent, CallRecord, UnitKeyRecord
from linetap_core.timekeeping import kernel_synced
from linetap_core.vaultformat.callevents import ended_event, sealed_event
from linetap_core.vaultformat.walkreport import WalkReport

TICK_S = 0.25
RETRY_S = 1.0
MOST_JOBS = 20_000
PROBE = b""  # is signed before what would leave traces, an entry in the index and its leaf, each time it is tried

log = logging.getLogger("linetap.recorder.vault")


class VaultWriter:
    """`step()` does the work that is due; `start()` runs it in a thread. Other threads call the other methods."""

    def __init__(
        self,
        config: Config,
        source: AudioSource,
        outbox: Outbox,
        sign: Sign,
        clock: Clock,
        unit_log: UnitLog,
        journal: Journal | None = None,
    ) -> None:
        """`journal`: makes up for a power cut. A replay has none."""
        self._config = config
        self._source = source
        self._outbox = outbox
        self._sign = sign
        self._clock = clock
        self._log = unit_log
        rooms.make(open_calls(config), private=True)
        config.vault_path.mkdir(parents=True, exist_ok=True)
        self.epochs = Epochs(config, self.clock_is_trusted, self._is_dated)
        self._index = Index(config, self.epochs, unit_log)
        unit_log.count_events(lambda: outbox.last_seq)
        self._logged_list: str | None = None
        self._jobs: deque[Job] = deque()
        self._unsigned = Unsigned(clock)
        self._recordings: dict[str, Recording] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._steps = Steps("vault", clock)
        self._room = Room(config)
        self._passed_over = 0
        self._closed: str | None = None
        self._failure: BaseException | None = None
        self._journal = journal
        self._recovered = journal is None
        self._began = (this_boot(), clock.monotonic_ns())
        self._left_open = LeftOpen(config, self._recordings)
        self._recovered_calls: deque[CallRecord] = deque()  # for the account with the PBX
        self.written_bytes = 0
        self.gap_ms = 0.0
        self.upkeep: Upkeep | None = None  # None in a replay, which destroys nothing
        self._walks: Walks | None = None  # None in a replay, which has no walk tests
        self._resume()

    def keep_up(
        self,
        boot: Callable[[], str] = this_boot,
        synced: Callable[[], bool] = kernel_says_synced,
        config_file: Path | None = None,
        incarnation: Incarnation | None = None,
    ) -> Upkeep:
        """Call before `start`. From then on calls expire and commands are accepted. Returns the upkeep."""
        self.upkeep = Upkeep(
            self._config, self._log, self._append, self.epochs, self._outbox, self._clock, boot, synced, config_file,
            self._sign, incarnation, self._left_open.add,
        )  # fmt: skip
        self.upkeep.time.look()
        if incarnation is not None and incarnation.name:
            self._name_vault(incarnation)
        return self.upkeep

    def _name_vault(self, vault: Incarnation) -> None:
        """Puts the vault's name into the first leaf and the first event of a new vault."""
        known = vault.document
        order: dict[str, Any] = {"number": known.number, "before": known.before} if known and known.number else {}
        if not self._log.size:
            self._put(LogLeaf("vault", vault.made_at, {"vault": vault.name, **order}))
        if self._outbox.last_seq < self._outbox.first_seq:
            self._put(Report(CallEvent(seq=0, event="vault", at=vault.made_at, unit="", **order)))

    def take_walks(self, sign: Sign) -> None:
        """Call before `start`, to accept reports of walk tests. `sign`: bytes -> SSHSIG of namespace linetap-walk."""
        self._walks = Walks(self._config.vault_path, sign, self._log, self._append)

    # --- from the main thread -----------------------------------------------------------------------------------------

    def refused(self) -> str | None:
        return self._closed or self._room.refused

    def close_to_calls(self, why: str | None) -> None:
        """Refuses new calls for this reason, whatever the state of the disk; None: accepts them again."""
        self._closed = why

    def being_recorded(self) -> set[str]:
        """Returns the calls that are being recorded or wait to be sealed."""
        return set(self._recordings)

    @property
    def failure(self) -> BaseException | None:
        """The exception that ended one of the threads, or None."""
        return self._failure or (self._journal.failure if self._journal is not None else None)

    def standing(self) -> list[str]:
        """Returns the names of the threads that make no progress."""
        return [each.name for each in self._all_steps() if each.stands()]

    def hangs(self) -> bool:
        """Whether a thread makes no progress for another reason than a disk that does not answer."""
        return any(each.stands() and not each.waits_for_disk() for each in self._all_steps())

    def _all_steps(self) -> list[Steps]:
        return [self._steps, *([self._journal.steps] if self._journal is not None else [])]

    def report(self, event: CallEvent) -> None:
        self._put(Report(event))

    def note(self, call_id: str, note: CallNote) -> None:
        if self._journal is not None:
            self._journal.note(call_id, msgspec.structs.replace(note, record=self._counted(note.record)))

    def open(self, call_id: str, line: int, first_frame: int) -> None:
        self._put(Open(call_id, line, first_frame))

    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None:
        recording = self._recordings.get(call_id)
        if recording is not None and frame > recording.permitted:
            recording.withheld = withheld  # before the disk thread may go on into it
            recording.permitted = frame

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        record = self._counted(record)
        self.note(call_id, last_note(record, end_frame))
        self._put(Close(call_id, end_frame, record, list(withheld)))

    def remember_fault(self, line: int, since_ns: int | None) -> None:
        self._put(LineFault(line, since_ns))

    def keep(self, place: str, content: bytes) -> None:
        """A small report, at this place in the vault."""
        self._put(Keep(place, content))

    def log_leaf(self, kind: Kind, at_ns: int, **fields: str | int | float | list[str] | None) -> None:
        """A leaf of the unit's log, of something that was at `at_ns` (UTC)."""
        self._put(LogLeaf(kind, rfc3339(at_ns), fields))

    def walked(self, report: WalkReport) -> None:
        """Stores the report of a walk test. Its test calls have been closed before."""
        self._put(Walked(report))

    def closing(self) -> set[str]:
        """Returns the calls that are over and not sealed yet."""
        return {job.call_id for job in self.unfinished() if isinstance(job, Close)}

    def unfinished(self) -> list[Job]:
        """Returns the jobs not done yet, in order, for the checkpoint."""
        with self._changed:
            return [*self._unsigned.jobs, *self._jobs]

    def unsigned(self) -> tuple[str | None, int]:
        """Returns the code of what keeps the unit's key from signing, or None, and how many jobs wait for it."""
        return self._unsigned.fault, len(self._unsigned.jobs)

    def take_up(self, jobs: list[Job]) -> None:
        """Queues the jobs that the previous recorder had not finished."""
        for job in jobs:
            if isinstance(job, Close):
                self.note(job.call_id, last_note(job.record, job.end_frame))
            self._put(job)

    def orphans(self, known: set[str]) -> list[OpenCall]:
        """Returns open recordings of calls that are not `known`: the checkpoint was lost."""
        closing = self.closing()
        return [open_.state for call_id, open_ in self._recordings.items() if call_id not in known | closing]

    def written_until(self, call_id: str) -> int:
        """The frame up to which an open recording is written."""
        return self._recordings[call_id].position

    def abandon(self, call_id: str) -> None:
        """The call of this recording is unknown to the recorder: it is sealed from its folder and the journal."""
        self._left_open.abandon(call_id)

    def take_recovered(self) -> list[CallRecord]:
        """Returns calls left open by a power cut that have been sealed since the last call of this."""
        return [self._recovered_calls.popleft() for _ in range(len(self._recovered_calls))]

    @property
    def outbox_seq(self) -> int:
        return self._outbox.last_seq

    @property
    def outbox_dropped_to(self) -> int:
        return self._outbox.dropped_to

    @property
    def logs_kept(self) -> list[str]:
        """Names, in the vault, of logs that did not match their own head."""
        return self._log.kept

    def free_bytes(self) -> tuple[int, int]:
        """Returns the bytes of the vault's file system that are free for us, and all of them."""
        info = os.statvfs(self._config.vault)
        return info.f_bavail * info.f_frsize, info.f_blocks * info.f_frsize

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="vault", daemon=True)
        self._thread.start()
        if self._journal is not None:
            self._journal.start()

    def stop(self, patience_s: float) -> None:
        """Waits until the jobs are done, at most `patience_s`. The checkpoint has the rest."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(patience_s)
        if self._journal is not None:
            self._journal.stop(patience_s)

    def _put(self, job: Job) -> None:
        with self._changed:
            if len(self._jobs) >= MOST_JOBS and not isinstance(job, Open | Close):
                if not self._passed_over:  # of calls that are refused: what is recorded has its end, however long
                    log.error("jobs_passed_over: the vault could not be written for %d jobs", MOST_JOBS)
                self._passed_over += 1
                return
            self._jobs.append(job)
            self._changed.notify()

    # --- the disk thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._steps.begin()
        try:
            while True:
                with self._changed:
                    if not self._jobs and not self._stopping:
                        self._changed.wait(TICK_S)
                    if self._stopping and (not self._jobs or self._room.refused):
                        return
                if not self.step():
                    with self._changed:
                        self._changed.wait(RETRY_S)
                self._steps.step()
        except Exception as error:
            log.exception("the disk thread has ended")
            self._failure = error
        finally:
            self._steps.end()

    def step(self) -> bool:
        """Does all jobs that can be done, then writes the audio that is due. False if the disk takes nothing."""
        done = self._write_all()
        if self.upkeep is not None:  # on a full disk too: it is what makes room
            self.upkeep.tick(bool(self._recordings), self.free_bytes)
            with contextlib.suppress(OSError):  # the next step tries again, and logs it
                self._log.publish()  # also the last leaves before a stop
        return done

    def _write_all(self) -> bool:
        try:
            self._look_at_log()
            self._look_at_key_list()
            self._index.adopt()
            if not self._recovered:
                if not self._unsigned.may_try():
                    return False
                self._recover()
            self._seal_left(self._left_open.found_since(self.unfinished))
            self._sign_what_waits()
            self._do_jobs()
            for recording in list(self._recordings.values()):
                if recording.is_due():
                    self._write_up_to(recording, recording.permitted)
            self._sign_head()
            self._room.look(self.free_bytes()[0], waiting=len(self._unsigned.jobs) if self._unsigned.full else 0)
        except TpmFault as fault:  # of `_recover` alone: what a power cut has left cannot be sealed
            self._unsigned.failed(fault)
            self._room.refuse(str(fault), UNIT_KEY)
            return False
        except OSError as error:
            self._room.disk_failed(error)
            for recording in self._recordings.values():
                recording.disk_failed()
            return False
        return True

    def _do_jobs(self) -> None:
        while self._jobs:
            job = self._jobs[0]
            waits = self._unsigned.must_wait(job) or not self._is_done(job)
            if waits and isinstance(job, Close):
                self._write_to_end(job)
            with self._changed:
                if waits:
                    self._unsigned.jobs.append(job)
                self._jobs.popleft()
            self._steps.step()

    def _sign_what_waits(self) -> None:
        if not self._unsigned.jobs or not self._unsigned.may_try():
            return
        try:
            self._sign(PROBE)
        except TpmFault as fault:
            self._unsigned.failed(fault)
            return
        while self._unsigned.jobs and self._unsigned.may_try() and self._is_done(self._unsigned.jobs[0]):
            with self._changed:
                self._unsigned.jobs.popleft()
            self._steps.step()

    def _sign_head(self) -> None:
        if self._unsigned.may_try():
            try:
                self._log.publish()
                self._unsigned.works()
            except TpmFault as fault:
                self._unsigned.failed(fault)

    def _is_done(self, job: Job) -> bool:
        """Does the job; False if it waits for its signature."""
        try:
            self._do_or_set_aside(job)
        except TpmFault as fault:
            self._unsigned.failed(fault)
            return False
        return True

    def _look_at_log(self) -> None:
        """Reports a log that began anew, and drops the places of events in the old one."""
        for event in self._log.take_begun():
            self._outbox.forget_places()
            self._put(Report(event))
            self._logged_list = None

    def _look_at_key_list(self) -> None:
        """Logs the key list that calls are sealed to, at the start and at every change."""
        self.epochs.look()
        if self.epochs.sha256 != self._logged_list:
            self._log.append("key_list", version=self.epochs.version, sha256=self.epochs.sha256)
            self._logged_list = self.epochs.sha256

    def _do_or_set_aside(self, job: Job) -> None:
        """Does the job; a damaged folder is logged and does not keep other calls from being sealed."""
        try:
            self._do(job)
        except Refusal as refusal:
            log.error("vault_damaged: %s", refusal)

    def _do(self, job: Job) -> None:
        match job:
            case Report(event):
                self._append(event)
            case Open(call_id):
                if call_id not in self._recordings and not self._is_sealed(call_id):
                    recording = self._recordings[call_id] = Recording.begin(self._config, job, self.epochs)
                    if self._journal is not None:
                        recording.folder.keep_open(self._journal.opened(recording, self._index.of_one_call()))
                self._log.append("open", call_id=call_id, line=job.line)
            case Close():
                self._close(job)
            case Keep(place, content):
                path = self._config.vault_path / place
                files.make_directories(self._config.vault_path, path.parent)
                replace_durably(path, content)
            case LogLeaf(kind, at, fields):
                self._log.append(kind, at=at, **fields)
            case LineFault(line, since_ns):
                linefaults.write(self._config.vault_path, line, since_ns)
            case Walked(report):
                assert self._walks is not None
                self._walks.take(report)

    def _append(self, event: CallEvent) -> None:
        if not self._outbox.has(event):
            self._outbox.append(event)

    def _close(self, job: Close) -> None:
        call_id, end_frame, record = job.call_id, job.end_frame, job.record
        recording = self._recordings.get(call_id)
        record = msgspec.structs.replace(self._dated(record), unit_key=UnitKeyRecord(self._config.keys.unit_key))
        if end_frame is not None and recording is not None:
            self._write_to_end(job)
            retention, epoch = self.epochs.settle(recording.state, record.retention)
            record = msgspec.structs.replace(record, retention=retention)
            if retention is not None:
                self._index.add(record, retention)  # before it is sealed: a power cut now seals it from the journal
            record = recording.seal(record, self._sign, epoch)
        elif not self._is_sealed(call_id):
            if record.retention is not None:
                record = msgspec.structs.replace(record, retention=self.epochs.resolve(record.retention)[0])
            if recording is not None:  # opened, and ended before its first sample
                (recording.folder.path / sealed.KEY).unlink(missing_ok=True)
            seal_without_audio(self._config.vault_path, record, self._sign)
        self._log.close_call(call_id)
        self._append(self._sealed_event(call_id, record))
        if self.upkeep is not None:
            self.upkeep.sealed(record)
        self.on_sealed(record)
        if recording is not None:
            del self._recordings[call_id]
            recording.forget()
        if self._journal is not None:
            self._journal.over(call_id)

    def _dated(self, record: CallRecord) -> CallRecord:
        return record if self.upkeep is None else self.upkeep.dated(record)

    def _write_to_end(self, job: Close) -> None:
        recording = self._recordings.get(job.call_id)
        if recording is not None and job.end_frame is not None:
            recording.withheld, recording.permitted = job.withheld, job.end_frame
            while recording.position < job.end_frame:
                self._write_up_to(recording, job.end_frame)

    def _write_up_to(self, recording: Recording, end: int) -> None:
        frames, gap_ms = recording.write_up_to(end, self._source, self._gaps_found)
        self.written_bytes += frames
        self.gap_ms += gap_ms
        self._steps.step()

    def clock_is_trusted(self, made_at_ns: int) -> bool:
        """Whether the day is known: not if the clock is earlier than the key list was made, or has jumped."""
        if self.upkeep is None:
            return self._clock.utc_ns() >= made_at_ns - CLOCKS_DIFFER_NS
        return self.upkeep.time.is_dated and self.upkeep.time.date_ns >= made_at_ns - CLOCKS_DIFFER_NS

    def _is_dated(self) -> bool:
        return self.upkeep is None or self.upkeep.time.is_dated

    def _counted(self, record: CallRecord) -> CallRecord:
        """Returns the record with its moment in counted time. Any thread may call it."""
        if self.upkeep is None or record.counted is not msgspec.UNSET:
            return record
        return msgspec.structs.replace(record, counted=self.upkeep.time.counted_now())

    def _gaps_found(self) -> None:
        if self._journal is not None:
            self._journal.step()

    def on_sealed(self, record: CallRecord) -> None:
        """Hook for a replay, which collects whole records. A unit leaves it empty."""

    def _sealed_event(self, call_id: str, record: CallRecord) -> CallEvent:
        path = self._config.vault_path / sealed.call_path(call_id) / sealed.RECORD
        return sealed_event(record, files.sha256(path), rfc3339(self._clock.utc_ns()))

    def _is_sealed(self, call_id: str) -> bool:
        return (self._config.vault_path / sealed.call_path(call_id) / sealed.SIGNATURE).exists()

    # --- trouble ------------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Once a start, before anything else: seals what was left open, then begins the journal anew."""
        assert self._journal is not None
        found = self._left_open.found_at_start(self.unfinished, self._log.open_calls, self._outbox.newest)
        self._seal_left(found.left)
        for recording in self._recordings.values():
            self._journal.opened(recording, self._index.of_one_call())
        self._journal.begin(found.going_on)
        self._left_open.begun()
        self._recovered = True

    def _seal_left(self, left: list[FoundCall]) -> None:
        if left:
            self._sign(PROBE)
        told = {call.state.call_id for call in left if call.ended is not None}
        for record in recover(self._config, left, self._sign, self.epochs, self._index, self._dated, self._start()):
            self._log.close_call(record.call_id)
            if record.call_id not in told:
                self._append(ended_event(record))
            self._append(self._sealed_event(record.call_id, record))
            self._recovered_calls.append(record)
            if self._journal is not None:
                self._journal.over(record.call_id)
            if self.upkeep is not None:
                self.upkeep.sealed(record)

    def _start(self) -> Start:
        boot, mono_ns = self._began
        trusted = kernel_synced(self._clock) and not (self.upkeep is not None and self.upkeep.time.is_distrusted)
        booted_ns = self._clock.utc_ns() - self._clock.monotonic_ns() if trusted else None
        return Start(boot, mono_ns, booted_ns)

    def _resume(self) -> None:
        """Takes up the recordings that a killed recorder had open."""
        for path in sorted(open_calls(self._config).glob("*.json")):
            try:
                recording = Recording.resume(self._config, path)
            except Refusal as refusal:
                log.error("vault_damaged: %s", refusal)
                if path.exists():
                    path.rename(path.with_suffix(".damaged"))
                continue
            self._recordings[recording.state.call_id] = recording
            log.warning("%s goes on after %.3f s that are kept", path.stem, recording.folder.samples / RATE_HZ)
