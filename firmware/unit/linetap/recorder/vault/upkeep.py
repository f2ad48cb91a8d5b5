# SPDX-License-Identifier: Apache-2.0
"""The vault thread's duties besides writing calls: retention time, commands, holds, and destruction.

Each tick does a little. Commands come before destruction, so that a hold interrupted by a power cut is completed first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.config.retention import default_class
from linetap.config.schema import Config
from linetap.recorder.vault.callfolder.folder import Sign
from linetap.recorder.vault.commands.commands import Commands
from linetap.recorder.vault.commands.configchange import ConfigChange
from linetap.recorder.vault.commands.copies import Copies
from linetap.recorder.vault.commands.effects import Effects
from linetap.recorder.vault.commands.update import Update
from linetap.recorder.vault.incarnation import Incarnation
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.outbox.delivery import Delivery
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.outbox.rebuild import Rebuild
from linetap.recorder.vault.recordings.index import IndexEnd
from linetap.recorder.vault.recordings.segmentlist import SegmentList
from linetap.recorder.vault.retention import amending
from linetap.recorder.vault.retention.amending import Amending
from linetap.recorder.vault.retention.destruction import (
    BALLAST_BYTES,
    FULL,
    Destruction,
    Trim,
    drop_ballast,
    make_ballast,
)
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.recorder.vault.retention.expiry import Expiry, Stored
from linetap.recorder.vault.retention.holds import Holds
from linetap.recorder.vault.retention.time import RetentionTime, kernel_is_synced, this_boot
from linetap.recorder.vault.weakening.weakened import Weakened
from linetap_core import zones
from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.records import CallEvent, CallRecord, CountedMoment, RecorderState

FORECAST_EVERY_S = 60
ZONES_EVERY_S = 60
CLEAR_BY_PERCENT = 5  # percent of the room: hysteresis of the forecast

log = logging.getLogger("linetap.recorder.vault")


class Upkeep:
    def __init__(
        self,
        config: Config,
        unit_log: UnitLog,
        report: Callable[[CallEvent], None],
        epochs: Epochs,
        outbox: Outbox,
        clock: Clock,
        boot: Callable[[], str] = this_boot,
        synced: Callable[[], bool] = kernel_is_synced,
        config_file: Path | None = None,
        sign: Sign | None = None,
        incarnation: Incarnation | None = None,
        found_open: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`report` puts an event into the outbox, unless it is there already. `config_file`: the file that the verb
        `config` may replace. `sign`: in the records' namespace; without it nothing is amended. `incarnation`: the
        vault's identity. `found_open` is called for each call without a record.
        """
        vault, unit = config.vault_path, config.unit
        self._incarnation, self._log, self._report = incarnation, unit_log, report
        self._config, self._clock = config, clock
        self.time = RetentionTime(
            vault, config.retention.largest_gap_days, clock, boot, synced, lambda: epochs.earliest_ns
        )
        self.holds = Holds(vault, unit, unit_log, report, self.time)
        self.stored = Stored()
        destruction = Destruction(vault, unit, unit_log, report, self.holds, self.time)
        self.expiry = Expiry(vault, destruction, self.holds, self.stored, self.time, found_open)
        self._amending = None
        if sign is not None:
            self._amending = Amending(config, unit_log, report, sign, self.time, clock, self.expiry.amended)
        self._rebuild = Rebuild(vault, unit_log, outbox, report, clock)
        reader = OutboxReader(vault / "outbox")
        self.delivery = Delivery(outbox, reader, self._rebuild, self._order, unit_log.compare_with_desk_head)
        self.weakened = Weakened(config, config_file, epochs, unit_log, clock)
        self.change = ConfigChange(config, config_file, unit_log, self.weakened, clock)
        self._segments = SegmentList(config, unit_log, clock)
        copies = Copies(vault, unit, unit_log, report, self._segments)
        self.update = Update(config, unit_log)
        self.effects = Effects(
            config, unit_log, self.holds, self.time, epochs, self.delivery, self.change, copies, self.update,
            self.weakened, clock,
        )  # fmt: skip
        self.commands = Commands(vault, config.run_path, unit, unit_log, self.effects, clock)
        self._index_end = IndexEnd(vault, config.retention.zone, unit_log)
        self._trim = Trim(vault)
        self._trouble = ""
        self._is_compared = False
        self._forecast_ns = self._zones_ns = 0
        self.full_in_days: int | None = None  # None: old calls are destroyed in time, or the forecast is not known yet

    def dated(self, record: CallRecord) -> CallRecord:
        """Returns a record that is about to be sealed, with its moment in counted time and the end that follows from
        that moment.
        """
        if record.counted is msgspec.UNSET:
            record = msgspec.structs.replace(record, counted=self.time.moment())
        span = self.time.span(record.counted if isinstance(record.counted, CountedMoment) else None)
        return record if span is None else amending.dated(record, span, self._config)

    def sealed(self, record: CallRecord) -> None:
        self.expiry.sealed(record)
        if self._amending is not None and record.retention is not None and record.retention.waits_for == "clock":
            self._amending.request_rescan()

    def describe(self, state: RecorderState) -> None:
        """Writes the upkeep's fields of the recorder's state."""
        state.delivery, state.refused_commands = self.delivery.state, self.commands.refused
        state.identify_until_ns, state.weakenings = self.effects.identify.until_ns, self.weakened.state
        state.config_pending, state.update = self.change.pending, self.update.state
        state.retention_time, state.full_in_days = self.time.state(), self.full_in_days
        state.undated = len(self.expiry.waiting)

    def tick(self, busy: bool, room: Callable[[], tuple[int, int]]) -> None:
        """Does a part of all duties. `busy`: a call is being written. `room` returns free and all bytes of the vault's
        file system.

        Never raises OSError: a failed write is repeated at the next tick.
        """
        try:
            self._run_duties_with_room()
            self._check_free_space(busy, *room())
            self.change.tick(busy)  # last: an unwritable folder of the configuration must not delay destruction
        except OSError as error:
            if str(error) != self._trouble:
                log.error("upkeep: %s; retried at the next tick", error)
            self._trouble = str(error)
        else:
            self._trouble = ""

    def _order(self, number: int, before: str) -> None:
        """Signs, logs and reports the desk's answer on this vault's number, once."""
        vault = self._incarnation
        if vault is None or vault.is_ordered:
            return
        at = rfc3339(self._clock.utc_ns())
        self._log.append("vault", at=at, vault=vault.name, number=number, before=before)
        vault.order(number, before)
        self._report(CallEvent(seq=0, event="vault", at=at, unit="", number=number, before=before))

    def _run_duties_with_room(self) -> None:
        """Does the duties; on a full disk makes room for the records of a destruction, which frees space."""
        try:
            self._run_duties()
        except OSError as error:
            if error.errno not in FULL or not drop_ballast(self._config.vault_path):
                raise
            self._run_duties()

    def _run_duties(self) -> None:
        """Does each step even after a failed one; but destroys nothing after a failed command, which may be a hold.
        Raises the first error; an error of a full disk precedes any other."""
        failed = list[OSError]()

        def attempt(step: Callable[[], object]) -> bool:
            try:
                step()
            except OSError as error:
                failed.append(error)
                return False
            return True

        may_destroy = attempt(self.time.tick)
        attempt(self._refresh_zones)
        attempt(self.effects.self_test.refresh)
        may_destroy = attempt(self._compare_with_log) and attempt(self.commands.tick) and may_destroy
        if self._amending is not None:
            may_destroy = attempt(self._amending.tick) and may_destroy
        if may_destroy and self._is_compared:
            attempt(self._end_holds)
            attempt(self._destroy)
            attempt(self._end_index)
        elif may_destroy:
            attempt(lambda: self.expiry.tick(None))  # scans alone
        for step in (self._segments.tick, self._rebuild.tick, self.update.tick, self.weakened.tick):
            attempt(step)
        if failed:
            raise next((error for error in failed if error.errno in FULL), failed[0])

    def _compare_with_log(self) -> None:
        """Compares the files that may be older copies with the log, once after a start when all leaves are read; until
        then nothing is destroyed, and commands wait.
        """
        if not self._is_compared and (past := self._log.past_leaves()) is not None:
            self.commands.count(past.counters)
            self.effects.compare_roles(past.roles)  # after a begun command, which may be newer roles
            self.holds.compare(past.holds)
            self._is_compared = True

    def _end_holds(self) -> None:
        if (now_ns := self.time.now_ns) is not None:
            self.holds.end_those_over(now_ns)

    def _destroy(self) -> None:
        if self.expiry.tick(self.time.now_ns):
            self._trim.request()
            self._index_end.calls_were_destroyed()

    def _end_index(self) -> None:
        now_ns = self.time.now_ns
        if now_ns is not None and not self.expiry.scanning:  # an index stays while its calls do
            self._index_end.tick(min(now_ns, self.expiry.kept_from_ns - 1), self.expiry.next_ns)

    def _refresh_zones(self) -> None:
        """Reloads the time zones, in this thread because it may wait for the disk."""
        mono_ns = self._clock.monotonic_ns()
        if mono_ns >= self._zones_ns:
            self._zones_ns = mono_ns + ZONES_EVERY_S * NS_PER_S
            zones.refresh()

    def _check_free_space(self, busy: bool, free: int, total: int) -> None:
        reserve, mono_ns = self._config.storage.reserve_mb << 20, self._clock.monotonic_ns()
        if free > reserve + 2 * BALLAST_BYTES:
            make_ballast(self._config.vault_path)
        if not self.expiry.scanning and mono_ns >= self._forecast_ns:
            self._forecast_ns = mono_ns + FORECAST_EVERY_S * NS_PER_S
            kept = default_class(self._config).days
            room = max(0, free - reserve) * (100 - CLEAR_BY_PERCENT * (self.full_in_days is not None)) // 100
            self.full_in_days = self.stored.full_in_days(self._clock.utc_ns(), room, kept)
        if not busy:
            self._trim.tick(mono_ns, total)
