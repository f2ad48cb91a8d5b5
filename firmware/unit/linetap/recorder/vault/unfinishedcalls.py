# SPDX-License-Identifier: Apache-2.0
"""Finds and seals open calls that are no longer recorded, after a power cut, a kill or a lost checkpoint."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import NamedTuple

from linetap import restartstate
from linetap.recorder.vault.callfolder.jobs import Close, JobQueue, Open
from linetap.recorder.vault.journal import store
from linetap.recorder.vault.journal.journal import FOLDER
from linetap.recorder.vault.journal.missingaudio import Start
from linetap.recorder.vault.journal.opencalls import FoundCall, LeftOpenCalls, is_open, open_folders
from linetap.recorder.vault.journal.recovery import recover
from linetap.recorder.vault.recordings.entries import State
from linetap.recorder.vault.recordings.recording import open_calls
from linetap.recorder.vault.retention.time import this_boot
from linetap.recorder.vault.signing import Signing
from linetap.recorder.vault.vault import Vault
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord
from linetap_core.timekeeping import kernel_synced
from linetap_core.vaultformat.callevents import ended_event

log = logging.getLogger("linetap.recorder.vault")

OF_THIS_BOOT = "journal.begun"  # in RAM: the journal on the disk was written in this boot


class _AtStart(NamedTuple):
    """The calls at a start. `going_on`: the journal's states of continuing calls."""

    left: list[FoundCall]
    going_on: dict[str, State]


class LeftOpen:
    """The open calls. `is_begun`: calls left by a power cut are sealed, and the journal has begun anew; always True
    without a journal.

    `add` and `abandon` may be called by any thread. TpmFault: the key does not sign, and nothing has been sealed.
    """

    def __init__(self, vault: Vault, queue: JobQueue, signing: Signing) -> None:
        self._vault, self._queue, self._signing = vault, queue, signing
        self._found = set[str]()  # calls without a record, by the scan of the vault
        self._abandoned = set[str]()
        self._marker = open_calls(vault.config) / OF_THIS_BOOT
        self._began = (this_boot(), vault.clock.monotonic_ns())
        self.is_begun = vault.journal is None
        self.recovered: deque[CallRecord] = deque()  # for the account with the PBX

    def add(self, call_id: str) -> None:
        """Adds a folder without a record, found by the scan of the vault."""
        self._found.add(call_id)

    def abandon(self, call_id: str) -> None:
        """Abandons a recording of an unknown call: it is sealed from its folder and the journal."""
        self._abandoned.add(call_id)

    def begin(self) -> None:
        """Seals the calls left open, then begins the journal anew; called once, first at the start."""
        vault = self._vault
        assert vault.journal is not None
        found = self._at_start()
        self._seal(found.left)
        for recording in vault.recordings.values():
            vault.journal.opened(recording, vault.index.of_one_call())
        vault.journal.begin(found.going_on)
        restartstate.keep(self._marker, b"")
        self.is_begun = True

    def seal_found(self) -> None:
        """Seals abandoned recordings, and folders without a record found by the scan of the vault, including those of
        a wrong clock's days."""
        self._close_abandoned()
        folders = [self._folder(call_id) for call_id in self._found - self._at_work()]
        self._found.clear()
        if folders := [folder for folder in folders if is_open(folder)]:
            left = self._left_open_calls()
            left.add_folders(folders)
            names = {folder.name for folder in folders}
            self._seal([call for call in left.calls() if call.state.call_id in names])

    def _at_start(self) -> _AtStart:
        """The unsealed calls: at the first start of a boot, those of all sources. At a later start, calls continue or
        their ends are in the checkpoint, so only folders of calls that are not in the checkpoint."""
        self._close_abandoned()
        vault, left = self._vault, self._left_open_calls()
        going_on = {call.state.call_id: call.state for call in left.calls() if call.state.call_id in vault.recordings}
        left.add_folders(open_folders(vault.config.vault_path))
        if not self._marker.exists():
            left.add_named(vault.log.open_calls)
            left.add_events(vault.outbox.newest())
            return _AtStart(left.calls(vault.recordings), going_on)
        calls = [call for call in left.calls(self._at_work()) if is_open(self._folder(call.state.call_id))]
        return _AtStart(calls, going_on)

    def _seal(self, left: list[FoundCall]) -> None:
        vault = self._vault
        if left:
            self._signing.probe()
        reported = {call.state.call_id for call in left if call.ended is not None}
        for record in recover(
            vault.config, left, vault.sign, vault.epochs, vault.index, vault.dated, self._start_of_power()
        ):
            if record.call_id not in reported:
                vault.report(ended_event(record))
            try:
                vault.report_sealed(record.call_id, record)
            except Refusal as refusal:
                log.error("vault_damaged: %s", refusal)
            self.recovered.append(record)
            if vault.journal is not None:
                vault.journal.over(record.call_id)

    def _start_of_power(self) -> Start:
        boot, mono_ns = self._began
        clock, upkeep = self._vault.clock, self._vault.upkeep
        trusted = kernel_synced(clock) and not (upkeep is not None and upkeep.time.is_distrusted)
        return Start(boot, mono_ns, clock.utc_ns() - clock.monotonic_ns() if trusted else None)

    def _close_abandoned(self) -> None:
        while self._abandoned:
            call_id = self._abandoned.pop()
            if (recording := self._vault.recordings.pop(call_id, None)) is not None:
                recording.forget()
                self._found.add(call_id)

    def _left_open_calls(self) -> LeftOpenCalls:
        vault = self._vault.config.vault_path
        return LeftOpenCalls(vault, self._vault.config.unit, store.read(vault / FOLDER))

    def _at_work(self) -> set[str]:
        """Calls with a folder that is being written now or soon."""
        jobs = {job.call_id for job in self._queue.unfinished() if isinstance(job, Open | Close)}
        return jobs | self._vault.recordings.keys()

    def _folder(self, call_id: str) -> Path:
        return self._vault.config.vault_path / sealed.call_path(call_id)
