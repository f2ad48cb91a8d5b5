# SPDX-License-Identifier: Apache-2.0
"""Connects the parts of the recorder: rings -> core -> vault, a checkpoint after every batch, a state file for other
services.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Literal

from linetap import restartstate, unitkeys
from linetap.config import Config, change, config_sha256
from linetap.config.retention import default_class
from linetap.learned import Learned, LearnedWatch
from linetap.notices import keep_copies, notices_of
from linetap.recorder import checkpoint, selflog
from linetap.recorder.calls.context import CallNames, LineMemory, Shared
from linetap.recorder.cards import Cards
from linetap.recorder.checkpoint import MOST_FAILURES, Failed
from linetap.recorder.control import ControlSocket, Removal
from linetap.recorder.core import Recorder
from linetap.recorder.pbx.join import start_smdr
from linetap.recorder.selflog import SelfLog
from linetap.recorder.vault import admission
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.time import this_boot
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.recorder.walk.guide import Guide
from linetap.ring import Batch
from linetap.standby import stand_by
from linetap_core import __version__, rundir
from linetap_core.clock import SYSTEM, Clock
from linetap_core.durable import broken
from linetap_core.errors import LinetapError
from linetap_core.evidence.signing import namespaces
from linetap_core.records import (
    FREE,
    CancelRemoval,
    CaptureState,
    ClockRecord,
    Fault,
    PrepareRemoval,
    RecorderCommand,
    RecorderState,
    Refused,
    Walking,
)
from linetap_core.rundir import capture_service
from linetap_core.service import START_AGAIN, StateFile, Stop, alive, credential, lock_of, read_state, start_logging
from linetap_core.timekeeping import clock_quality
from linetap_core.watchdog import Steps

_OF_SMALL_FILES = ("", "outbox", "faults", "keys", "smdr")  # in the vault: damaged files set aside are reported
WAIT_MS = 100
IDLE_MS = 1000  # a shorter backlog of the rings is ignored
PATIENCE_S = 10.0  # longest wait for the disk at the end


def run(config: Config, clock: Clock = SYSTEM, config_file: Path | None = None) -> int:
    """Runs until SIGTERM, or returns START_AGAIN when a command has replaced `config_file`, the source of `config`.

    A call in progress continues in the next recorder, as after a kill. BadInput, DeviceFault or AlreadyRunning if the
    recorder cannot start; the state file keeps the reason for the panel.
    """
    log = start_logging("recorder")
    return_freed_memory()
    with lock_of(config.run_path, "recorder"):
        stop = Stop()
        state_file, state = StateFile(config.run_path, "recorder", clock), _first_state(config, clock)
        try:
            service = Service(config, clock, state_file, state, config_file)
        except LinetapError as error:
            state.fault = Fault(error.code, str(error))
            state_file.write(state)
            raise
        except OSError as error:
            return stand_by(error, [config.vault_path, *_rooms(config)], state, state_file, stop, clock)
        log.info("unit %s, %d lines, configuration %s", config.unit, len(config.line), state.config_sha256[:12])
        try:
            while not (stop.requested or state_file.outdated) and service.vault.failure is None:
                service.turn()
        finally:
            state_file.ending = stop.requested
            service.end()
    if service.vault.failure:
        return 1
    return START_AGAIN if state_file.outdated and not stop.requested else 0


def _rooms(config: Config) -> list[Path]:
    return [rundir.service_folder(config.run_path, "recorder"), config.run_path / rundir.CALLS]


class Service:
    """All parts of the recorder, connected."""

    def __init__(
        self, config: Config, clock: Clock, state_file: StateFile, state: RecorderState, config_file: Path | None = None
    ) -> None:
        self._config, self._clock = config, clock
        self._state_file, self._state = state_file, state
        for folder in _OF_SMALL_FILES:
            broken.restore_alerts(config.vault_path / folder, clock)
        remembered = checkpoint.load(config.run_path)
        self._failed = remembered.failed
        self._following: tuple[int, Batch] | None = None  # the batch being followed
        key = UnitKey(credential(Path(config.key)), config.keys)
        self.cards = Cards(config, clock, remembered.cards)
        sign = key.signer(namespaces.RECORD)
        incarnation = key.incarnation(config, clock, config_file)
        unit_log = key.open_log(config, clock, incarnation.name)
        journal = Journal(config.vault_path, len(config.line), self.cards, clock, self.cards.newest)
        outbox = key.open_outbox(config, lambda: unit_log.size, incarnation.name, unit_log.newest_event)
        self.vault = VaultWriter(Vault(config, self.cards, outbox, sign, clock, unit_log, journal))
        self.smdr = start_smdr(config, clock, self.vault, remembered.smdr)
        to_vault = self.smdr.join if self.smdr is not None else self.vault
        self._names = remembered.names or CallNames(lifetime.newest_ns(config.vault_path), this_boot()[:4])
        shared = Shared(
            config, notices_of(config), self.cards, self.cards, to_vault, self._clock_record,
            names=self._names, connected=self.smdr.join.connected if self.smdr is not None else {},
        )  # fmt: skip
        for line, since_ns in admission.load(config.vault_path).items():
            remembered.lines.setdefault(line, LineMemory()).deaf_since_ns = since_ns
        self.core = Recorder(shared, remembered.lines)
        with contextlib.suppress(OSError):  # if the recorder may not write them, root does
            keep_copies(Path(config.notices))
        self._learned_steps = Steps("learned", clock)
        self._learned = LearnedWatch(Path(config.learned), self._learned_steps)
        self._learned.start()
        self._applied: dict[int, Learned] | None = None
        self.vault.resume_jobs(remembered.jobs)
        if self.smdr is None and remembered.smdr is not None:
            self.vault.resume_jobs([*remembered.smdr.jobs()])
        self._adopt_orphans()
        self._self_log = SelfLog(clock, self.vault, __version__, state.config_sha256)
        if (follows := unitkeys.next_of(Path(config.key))) is not None:
            self.vault.log_leaf("unit_key", clock.utc_ns(), key=follows)
        self._upkeep = self.vault.start_upkeep(config_file=config_file, incarnation=incarnation)
        state.order = selflog.log_order(config.run_path, self.vault)
        self.vault.accept_walk_reports(key.signer(namespaces.WALK))
        self.guide = Guide(
            config, state.config_sha256, clock, self.core, self.vault, self._waiting_calls, remembered.walk
        )
        shared.ended.append(self.guide.call_over)
        self.removal = Removal(self.core, self.vault, lambda: bool(self._waiting_calls()) or self.guide.unreported)
        self.control = ControlSocket(config.run_path, clock)
        self.vault.start()

    def turn(self) -> None:
        """Waits for the doorbell, follows one batch of each card, writes the checkpoint.

        Only one batch of each, even if more wait: a lagging recorder still answers requests and reports its lag.
        """
        self.cards.wait(0 if any(follower.ready() for follower in self.cards.followers.values()) else WAIT_MS)
        for number, follower in self.cards.followers.items():
            if follower.replaced:
                follower.replaced, self._failed = False, None
                self.core.begin_new_ring(number)
                self._adopt_orphans()
            if not follower.ready() or (found := follower.read()) is None:
                continue
            batch, again = found
            self._state.progress += 1
            if again:
                self.core.restore_detectors(number, batch)
                continue
            if self._has_failed(number, batch):
                batch = self.core.replace_by_gap(number, batch)
            self._following = number, batch
            self.core.follow(number, batch)
            self._following = None
            self._remember()
        if self.smdr is not None and self.smdr.turn():
            self._remember()
        asked = self.control.serve(self._obey)
        if self.guide.turn() or asked:
            self._remember()
        self.cards.log_refusals()
        self._self_log.turn()
        if self._state_file.due():
            self._write_state()

    def _remember(self) -> None:
        """Writes the checkpoint.

        Jobs are read after the cursors: a job done meanwhile is done twice, a missing one would be lost.
        """
        cursors = {n: cursor for n, f in self.cards.followers.items() if (cursor := f.cursor())}
        jobs = self.vault.unfinished()
        smdr = self.smdr.join.memory() if self.smdr is not None else None
        now = checkpoint.Checkpoint(
            cards=cursors, lines=self.core.memories(), jobs=jobs, smdr=smdr, walk=self.guide.walk,
            names=self._names, failed=self._failed,
        )  # fmt: skip
        checkpoint.save(self._config.run_path, now)

    def _has_failed(self, card: int, batch: Batch) -> bool:
        """Whether this batch has ended earlier recorders and would end this one."""
        if self._failed is None or self._failed.card != card:
            return False
        if batch.frame >= self._failed.end:
            self._failed = None
            return False
        return self._failed.times >= MOST_FAILURES

    def _remember_failure(self, card: int, batch: Batch) -> None:
        """Keeps the checkpoint before this batch, which has raised an exception, and counts the failure."""
        last, before = checkpoint.load(self._config.run_path), self._failed
        times = 1 if before is None or before.card != card else before.times + 1
        last.failed = Failed(card, batch.frame + batch.frames, times)
        checkpoint.save(self._config.run_path, last)

    def _obey(self, command: RecorderCommand) -> Refused | Walking | None:
        match command:
            case PrepareRemoval():
                self.guide.stop()
                self.removal.begin()
            case CancelRemoval():
                self.removal.cancel()
            case _:
                return self.guide.carry_out(command)
        return None

    def _reload_learned(self) -> None:
        found = self._learned.found  # read once: the thread may replace it meanwhile
        if found is not self._applied:
            self._applied = found
            self.core.update_learned(found)

    def _write_state(self) -> None:
        self._reload_learned()
        state = self._state
        state.lines = self.core.line_states()
        self.vault.describe(state)
        if self._learned_steps.stands():
            state.standing = [*state.standing, self._learned_steps.name]
        self._upkeep.describe(state)
        state.walk, state.removal = self.guide.state(), self.removal.state()
        state.clock, state.overtaken_ns = self._self_log.clock_state(), self.cards.overtaken_ns
        state.ring_lag_ms = max(f.lag_ms() for f in self.cards.followers.values())
        if self.smdr is not None:
            self.smdr.describe(state)
        self._upkeep.change.quiet = state.config_pending is not None and self._quiet()
        state.not_kept = restartstate.fault()
        hangs = self.vault.hangs() or self._learned_steps.hangs()
        self._state_file.write(state, idle=state.ring_lag_ms < IDLE_MS, stands=hangs)

    def _quiet(self) -> bool:
        """Whether no line is in use and no call waits for its seal: a call keeps the class of the configuration at
        its beginning.
        """
        idle = all(line.state in FREE for line in self._state.lines)
        return idle and not self._waiting_calls() and not self.vault.unfinished() and not self.core.calls_in_progress()

    def _waiting_calls(self) -> set[str]:
        return self.smdr.join.held_calls() if self.smdr is not None else set()

    def _clock_record(self, line: int) -> ClockRecord:
        synced, offset_ms = clock_quality()
        card = next(each.card for each in self._config.line if each.number == line)
        capture = read_state(self._config.run_path, capture_service(card), CaptureState)
        drift_ppm = capture.drift_ppm if capture is not None and alive(capture, self._clock) else None
        source: Literal["ntp", "none"] = "ntp" if synced else "none"
        return ClockRecord(synced=synced, source=source, offset_ms=offset_ms, drift_ppm=drift_ppm)

    def _adopt_orphans(self) -> None:
        """Seals recordings of unknown calls like those left by a power cut."""
        for orphan in self.vault.orphans(self.core.calls_in_progress() | self._waiting_calls()):
            self.vault.abandon(orphan.call_id)

    def end(self) -> None:
        self.control.close()
        self._learned.stop()
        if self.smdr is not None:
            self.smdr.end()
        self._self_log.stop("asked" if self.vault.failure is None else "failure")
        self.vault.stop(PATIENCE_S)
        if self._following is None:
            self._remember()
        else:
            self._remember_failure(*self._following)
        if self.vault.failure is not None:
            failure = self.vault.failure
            code = failure.code if isinstance(failure, LinetapError) else "disk_thread"
            self._state.fault = Fault(code, str(failure))
        self._write_state()


def _first_state(config: Config, clock: Clock) -> RecorderState:
    return RecorderState(
        service="recorder", version=__version__, pid=os.getpid(), started_ns=clock.monotonic_ns(), mono_ns=0,
        progress=0, unit=config.unit, lines=[], config_sha256=config_sha256(config),
        retention_days=default_class(config).days, departures=change.departures(config),
        smdr_connected=None if config.smdr.port is None else False,
    )  # fmt: skip


# --- Makes glibc return large freed blocks to the kernel at once ------------------------------------------------------
# By default glibc keeps ever larger blocks (mallopt(3), M_MMAP_THRESHOLD: up to 32 MiB, once a block of that size was
# freed), in one arena for each thread. After a disk stall of some seconds the recorder would keep megabytes for good.


LARGE_BYTES = 128 << 10  # glibc's initial threshold
_M_MMAP_THRESHOLD = -3


def return_freed_memory() -> None:
    """Fixes the threshold for the whole process; does nothing with a C library other than glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
