# SPDX-License-Identifier: Apache-2.0
"""The objects that the vault thread's jobs use: the unit's key, log and outbox, the index, the open recordings."""

from __future__ import annotations

import os

import msgspec

from linetap.config.schema import Config
from linetap.recorder.calls.ports import AudioSource
from linetap.recorder.vault.callfolder.folder import Sign
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.recordings.index import Index
from linetap.recorder.vault.recordings.recording import Recording, open_calls
from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.epochs import CLOCKS_DIFFER_NS, Epochs
from linetap.recorder.vault.upkeep import Upkeep
from linetap.recorder.vault.walks import Walks
from linetap_core import rundir
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import files
from linetap_core.durable.unreadable import is_missing, reading
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallEvent, CallRecord
from linetap_core.vaultformat.callevents import sealed_event
from linetap_core.watchdog import Steps


class Vault:
    """The fields belong to the vault's thread. A replay has no journal, no upkeep and no walk tests."""

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
        """`journal`: the journal for the recovery after a power cut."""
        rundir.make(open_calls(config), private=True)
        config.vault_path.mkdir(parents=True, exist_ok=True)
        lifetime.set_aside_strangers(config.vault_path)
        self.config, self.source, self.outbox, self.sign, self.clock = config, source, outbox, sign, clock
        self.log, self.journal = unit_log, journal
        self.epochs = Epochs(config, self.clock_is_trusted, self._is_dated)
        self.index = Index(config, self.epochs, unit_log)
        unit_log.count_events(lambda: outbox.last_seq)
        self.recordings: dict[str, Recording] = {}
        self.steps = Steps("vault", clock)
        self.logged_list: str | None = None  # the hash of the key list last named in the log
        self.written_bytes = 0
        self.gap_ms = 0.0
        self.upkeep: Upkeep | None = None
        self.walks: Walks | None = None

    def report(self, event: CallEvent) -> None:
        """Puts the event into the outbox, unless it is there already."""
        if not self.outbox.has(event):
            self.outbox.append(event)

    def is_sealed(self, call_id: str) -> bool:
        """Whether it is. A folder of another user above it has no call of ours, and is set aside by the next write."""
        signature = self.config.vault_path / sealed.call_path(call_id) / sealed.SIGNATURE
        return os.access(signature.parents[1], os.X_OK) and not is_missing(signature)

    def report_sealed(self, call_id: str, record: CallRecord) -> None:
        """Logs and reports that the call is sealed, with the hash of its record."""
        self.log.close_call(call_id)
        path = self.config.vault_path / sealed.call_path(call_id) / sealed.RECORD
        with reading(path):
            digest = files.sha256(path)
        self.report(sealed_event(record, digest, rfc3339(self.clock.utc_ns())))
        if self.upkeep is not None:
            self.upkeep.sealed(record)

    def log_key_list(self) -> None:
        """Logs the key list in use, at the start and at every change."""
        self.epochs.reload()
        if self.epochs.sha256 != self.logged_list:
            self.log.append("key_list", version=self.epochs.version, sha256=self.epochs.sha256)
            self.logged_list = self.epochs.sha256

    def clock_is_trusted(self, made_at_ns: int) -> bool:
        """Whether the day is known: not if the clock is earlier than the key list, or has jumped."""
        if self.upkeep is None:
            return self.clock.utc_ns() >= made_at_ns - CLOCKS_DIFFER_NS
        return self.upkeep.time.is_dated and self.upkeep.time.date_ns >= made_at_ns - CLOCKS_DIFFER_NS

    def _is_dated(self) -> bool:
        return self.upkeep is None or self.upkeep.time.is_dated

    def counted(self, record: CallRecord) -> CallRecord:
        """Returns the record with its moment in counted time. Any thread may call it."""
        if self.upkeep is None or record.counted is not msgspec.UNSET:
            return record
        return msgspec.structs.replace(record, counted=self.upkeep.time.counted_now())

    def dated(self, record: CallRecord) -> CallRecord:
        return record if self.upkeep is None else self.upkeep.dated(record)
