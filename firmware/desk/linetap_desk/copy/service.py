# SPDX-License-Identifier: Apache-2.0
"""The ingest's transfer of copies: requests sealed calls from units, verifies and stores them, and confirms the copies.

It runs in the ingest's thread, which is the only writer of the database and the only signer with the desk's counter.
The store has its own thread.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError

from linetap_core.broker.connection import Arrived
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.errors import Refusal
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import Copied
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.wire.mqtt import Message
from linetap_desk.config.desk import CopyConfig
from linetap_desk.copy import worklist
from linetap_desk.copy.incoming import Call, Incoming, RetentionTerm
from linetap_desk.copy.s3 import open_store
from linetap_desk.copy.segments import Segments
from linetap_desk.copy.store import Store, is_of_one_call
from linetap_desk.copy.transfers import Closings, Hours, Transfer
from linetap_desk.copy.worker import FinishedJob, StoreJob, Worker
from linetap_desk.ingest import heads
from linetap_desk.ingest.confirm import ANSWER_LIMIT_BYTES
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.service import CommandFor
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.inputs import strict
from linetap_desk.proofs.callfolder import Damaged

LOOK_EVERY_S = 1  # the interval of searching for calls to copy
TIDY_EVERY_S = 60  # the interval of searching for expired copies and missing notifications
FAULT_PAUSE_S = 30  # while the store fails
REFUSED_PAUSE_S = 1  # after a unit refused a call
MOST_UNITS = 10_000  # limits memory: a publisher could use any number of unit names
MOST_PUTS = 64  # calls waiting for the store
STOP_S = 5

log = logging.getLogger("linetap.copy")


def start_copies(
    config: CopyConfig,
    engine: Engine,
    signers: SignersFile,
    command: CommandFor,
    clock: Clock,
    share: Share = ALL_UNITS,
) -> Copying:
    """Starts the copies. BadInput for an invalid store, hours or zone."""
    hours = Hours.parse(config.night, config.zone, config.day_kbit_s, config.night_kbit_s)
    holds = None if config.holds is None else Path(config.holds)
    incoming = None if config.incoming is None else Path(config.incoming)
    copying = Copying(
        open_store(config.store, incoming), hours, config.units_at_once, holds, engine, signers, command, clock, share
    )
    if config.index_root is not None:
        copying.copy_indexes(config.index_root, config.index_minutes * 60, config.zone)
    return copying


class Copying:
    def __init__(
        self,
        store: Store,
        hours: Hours,
        most_units: int,
        holds: Path | None,
        engine: Engine,
        signers: SignersFile,
        command: CommandFor,
        clock: Clock,
        share: Share = ALL_UNITS,
    ) -> None:
        self._share = share
        self._store, self._hours, self._most_units, self._holds = store, hours, most_units, holds
        self._engine, self._signers, self._command, self._clock = engine, signers, command, clock
        self._worker = Worker(store)
        self._units: dict[str, Transfer] = {}
        self._to_confirm: list[Call] = []
        self._confirmed = ("", "")  # the last one of a full list: the next list begins behind it
        self._finished: list[FinishedJob] = []  # not in the database yet
        self._assign_ns = self._tidy_ns = self._store_ns = 0
        self._counted_ns: int | None = None  # monotonic; time counted in the database so far
        self._complaints: dict[str, str] = {}  # unit -> the last complaint
        self._closings = Closings(signers, most_units, self._complain, clock, share)
        self._to_ask: list[Message] = []
        self._segments: Segments | None = None
        self._online: list[str] = []

    def copy_indexes(self, root: Path, every_s: int, zone: str) -> None:
        """Copies the units' indexes too. `zone`: the time zone of their days."""
        self._segments = Segments(
            root, every_s, zone, self._signers, self._complain, self._clock, self._share, self._is_of_one
        )

    def arrived(self, unit: str, message: Arrived) -> None:
        """Processes a message of `reply/fetch`: a block, or an answer. Unrequested messages are ignored."""
        if (proved := self._closings.arrived(unit, message)) is not None:
            self._worker.submit(StoreJob("close", proved[0], closing=proved[1]))
            return
        try:
            if self._segments is not None and self._segments.arrived(unit, message):
                return
        except OSError as error:
            self._store_away(str(error))
            return
        transfer = self._units.get(unit)
        if transfer is None or transfer.incoming is None or not message.correlation:
            return
        if message.correlation != transfer.correlation:
            return
        call = transfer.incoming.call
        try:
            if "file" in message.user:
                self._store_block(transfer, transfer.incoming, message)
            else:
                self._read_refusal(transfer, message.payload)
        except Damaged as error:
            self._complain(unit, f"{error.code}: {call.call_id}: {error}")
            transfer.postpone(call.call_id, self._clock.monotonic_ns())
        except OSError as error:
            if self._is_of_one(error):
                self._postpone(call, str(error))
                transfer.incoming, transfer.correlation = None, b""
            else:
                self._store_away(str(error))

    def turn(self) -> Iterator[Message]:
        """The messages to publish now; called only while connected. SQLAlchemyError: the database is unavailable."""
        now_ns = self._clock.monotonic_ns()
        self._finished += self._worker.take_finished()
        self._store_finished()
        if now_ns >= self._tidy_ns:
            self._tidy_ns = now_ns + TIDY_EVERY_S * NS_PER_S
            self._tidy()
        if now_ns >= self._assign_ns:
            self._assign_ns = now_ns + LOOK_EVERY_S * NS_PER_S
            self._assign_calls(now_ns)
        while self._to_confirm:
            call = self._to_confirm.pop()
            copied = Copied(call_id=call.call_id, record_sha256=call.record_sha256)
            yield self._command(call.unit, fetch.VERB, copied.body())
        if now_ns < self._store_ns:
            return
        to_ask, self._to_ask = self._to_ask, []
        yield from to_ask
        kbit_s = self._hours.kbit_s(self._clock.utc_ns())
        yield from self._of_indexes(kbit_s)
        for transfer in self._units.values():
            if transfer.stalled(now_ns):
                self._complain(transfer.unit, "fetch_stalled: no data arrives; the request is repeated")
            if (window := transfer.window(now_ns, kbit_s)) is not None:
                message = self._command(transfer.unit, fetch.VERB, window.body())
                yield replace(message, correlation=transfer.correlation)

    def status(self, unit: str, payload: bytes) -> None:
        """Processes a message of `status`, which differs in every session: transfers of an earlier session are void."""
        if unit not in self._units and len(self._units) >= MOST_UNITS:
            return
        transfer = self._transfer_of(unit)
        if transfer.status != payload:
            transfer.status = payload
            transfer.restart()
            self._closings.restart(unit)
            if self._segments is not None:
                self._segments.restart(unit)

    def lost_connection(self) -> None:
        for transfer in self._units.values():
            transfer.correlation = b""
        self._closings.lost_connection()
        if self._segments is not None:
            self._segments.lost_connection()

    def end(self) -> None:
        self._worker.stop(STOP_S)

    # --- received messages -------------------------------------------------------------------------------------

    def _store_block(self, transfer: Transfer, incoming: Incoming, message: Arrived) -> None:
        user = message.user
        try:
            offset, total = int(user["offset"]), int(user["total"])
        except (KeyError, ValueError):
            return
        if len(message.payload) > fetch.BLOCK_BYTES or not incoming.store(user["file"], offset, total, message.payload):
            return
        kbit_s = self._hours.kbit_s(self._clock.utc_ns())
        transfer.count_received(len(message.payload), self._clock.monotonic_ns(), kbit_s)
        self._pass_to_store(transfer)

    def _read_refusal(self, transfer: Transfer, payload: bytes) -> None:
        """Processes a refusal. It is unsigned, so the request is repeated later."""
        try:
            answer = strict.decode(payload[:ANSWER_LIMIT_BYTES], Answer)
        except (ValueError, RecursionError):
            return
        if not answer.done and transfer.incoming is not None:
            self._complain(transfer.unit, f"fetch_refused: {answer.code:.64}: {answer.text:.200}")
            if answer.code == "fetch_no_file":
                transfer.incoming.forget_part()
            now_ns = self._clock.monotonic_ns()
            transfer.postpone(transfer.incoming.call.call_id, now_ns)
            # A unit with a new vault does not have the old vault's calls, which must not block the new ones.
            transfer.next_ns = now_ns + REFUSED_PAUSE_S * NS_PER_S
            if not answer.code.startswith("fetch_"):
                transfer.pause(now_ns)

    # --- work --------------------------------------------------------------------------------------------------

    def _assign_calls(self, now_ns: int) -> None:
        """Assigns every online unit its next call, and gives the capacity of a unit without calls to others."""
        with self._engine.connect() as db:
            self._online = worklist.units_online(db, self._share) if self._segments is not None else []
            online = worklist.units_to_ask(db, self._share)
            under_way = [transfer for transfer in self._units.values() if transfer.incoming is not None]
            for transfer in under_way:
                if transfer.unit not in online:
                    transfer.incoming, transfer.correlation = None, b""
            room = self._most_units - sum(transfer.incoming is not None for transfer in self._units.values())
            # In turn: the units asked most recently come last.
            for unit in sorted(online, key=lambda unit: self._transfer_of(unit).asked_ns):
                if room > 0 and self._transfer_of(unit).incoming is None:
                    room -= self._begin(db, self._transfer_of(unit), now_ns)
            if now_ns >= self._store_ns and self._hours.kbit_s(self._clock.utc_ns()) != 0:
                self._request_closings(db)

    def _request_closings(self, db: Connection) -> None:
        if self._worker.busy >= MOST_PUTS:
            return
        for wanted_close, unit, correlation in self._closings.due_requests(db, self._under_way):
            message = self._command(unit, fetch.VERB, wanted_close.body())
            self._to_ask.append(replace(message, correlation=correlation))

    def _of_indexes(self, kbit_s: int | None) -> Iterator[Message]:
        if self._segments is None:
            return
        try:
            for unit, body, correlation in self._segments.due_requests(self._online, kbit_s):
                yield replace(self._command(unit, fetch.VERB, body), correlation=correlation)
        except OSError as error:
            self._store_away(str(error))

    def _tidy_indexes(self, db: Connection) -> None:
        try:
            if self._segments is not None:
                self._segments.remove_expired(db)
        except OSError as error:
            self._store_away(str(error))

    def _begin(self, db: Connection, transfer: Transfer, now_ns: int) -> bool:
        if self._worker.busy >= MOST_PUTS or now_ns < max(transfer.next_ns, self._store_ns):
            return False
        call = worklist.next_call(db, transfer.unit, transfer.skipped_calls(now_ns) | self._under_way(transfer.unit))
        if call is None:
            return False
        folder = self._store.incoming / call.unit / call.call_id
        try:
            transfer.incoming = Incoming(folder, call, self._signers.now())
        except Refusal as error:
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                self._postpone(call, str(error))
            return False
        except OSError as error:
            if self._is_of_one(error):
                self._postpone(call, str(error))
            else:
                self._store_away(str(error))
            return False
        self._pass_to_store(transfer)
        return True

    def _under_way(self, unit: str) -> set[str]:
        """The calls that the store is processing, or whose result is not in the database yet."""
        finished = (done.job.call for done in self._finished)
        return {call.call_id for call in (*self._worker.calls_of(unit), *finished) if call.unit == unit}

    def _pass_to_store(self, transfer: Transfer) -> None:
        """Passes a complete call to the store, so that the unit's next call can begin."""
        incoming = transfer.incoming
        if incoming is None or incoming.place is not None:
            return
        retention = RetentionTerm() if incoming.record is None else RetentionTerm.from_record(incoming.record)
        self._worker.submit(StoreJob("put", incoming.call, incoming.folder, retention))
        transfer.incoming = None
        self._assign_ns = 0

    def _tidy(self) -> None:
        now_ns, mono_ns = self._clock.utc_ns(), self._clock.monotonic_ns()
        postponed = {(unit, call_id) for unit, one in self._units.items() for call_id in one.skipped_calls(mono_ns)}
        with self._engine.begin() as db:
            if self._share.is_first:  # the time counts once for all ingests together
                worklist.add_counted_time(
                    db, 0 if self._counted_ns is None else (mono_ns - self._counted_ns) // NS_PER_MS
                )
            for call, number, data, sig in worklist.unstored_amendments(db, self._share, postponed):
                if not self._worker.has(call):
                    self._worker.submit(StoreJob("amend", call, amendment=(number, data, sig)))
            for call in worklist.expired_copies(db, now_ns, self._holds, self._share, postponed):
                if not self._worker.has(call):
                    self._worker.submit(StoreJob("remove", call))
            unconfirmed = worklist.unconfirmed_copies(db, self._share, self._confirmed)
            self._to_confirm = [call for call in unconfirmed if not self._worker.has(call)]
            self._tidy_indexes(db)
        full = len(unconfirmed) == worklist.MOST_UNREPORTED
        self._confirmed = (unconfirmed[-1].unit, unconfirmed[-1].call_id) if full else ("", "")
        self._counted_ns = mono_ns  # set after the commit: after a failure the next turn counts the time

    def _store_finished(self) -> None:
        """Writes the store's results into the database, and then notifies the unit."""
        if not self._finished:
            return
        now_ns = self._clock.utc_ns()
        with self._engine.begin() as db:
            for place, result in enumerate(self._finished):
                if result.fault:
                    continue
                try:
                    with db.begin_nested():
                        self._store_result(db, result.job, now_ns)
                except (ValueError, ArithmeticError, DataError, Refusal) as error:  # of this call alone
                    fault = f"{result.job.call.call_id}: {type(error).__name__}"
                    self._finished[place] = replace(result, fault=fault, spoiled=True)
                    self._transfer_of(result.job.call.unit).put_off(result.job.call.call_id, self._clock.monotonic_ns())
        for result in self._finished:
            if result.spoiled:
                self._complain(result.job.call.unit, f"copy_changed: {result.fault}; it is fetched again")
            elif result.alone:
                self._postpone(result.job.call, result.fault)
                if result.job.kind == "close":
                    self._closings.put_off(result.job.call)
            elif result.fault:
                self._store_away(result.fault)
            elif result.job.kind == "put":
                self._to_confirm.append(result.job.call)
            elif result.job.kind == "remove":
                log.info("copy_removed: %s %s: its retention has ended", result.job.call.unit, result.job.call.call_id)
        self._finished = []

    def _store_result(self, db: Connection, job: StoreJob, now_ns: int) -> None:
        if job.kind == "put":
            worklist.record_stored(db, job.call, job.retention, now_ns)
        elif job.amendment is not None:
            worklist.record_amended(db, job.call, job.amendment[0], now_ns)
        elif job.kind == "close":
            worklist.record_closed(db, job.call, now_ns)
            self._store_head(db, job, now_ns)
        else:
            worklist.record_removed(db, job.call, now_ns)

    def _store_head(self, db: Connection, job: StoreJob, now_ns: int) -> None:
        """Stores the log's head from a closing: a unit that shows different logs to custodians and desk is exposed by
        its own signatures."""
        assert job.closing is not None
        report = HeadReport(job.call.unit, job.closing.head.encode("utf-8"), unarmored(job.closing.sig), now_ns)
        heads.store_head(db, report, self._signers.now())

    def _transfer_of(self, unit: str) -> Transfer:
        return self._units.setdefault(unit, Transfer(unit))

    def _is_of_one(self, error: OSError) -> bool:
        return is_of_one_call(self._store, error)

    def _postpone(self, call: Call, reason: str) -> None:
        """Postpones the work on one call with faulty files in the store; all other work continues."""
        self._transfer_of(call.unit).put_off(call.call_id, self._clock.monotonic_ns())
        self._complain(call.unit, f"copy_waits: {call.call_id}: {reason:.200}; it is tried again later")

    def _store_away(self, reason: str) -> None:
        self._complain("", f"store_away: {reason}; it is tried again in {FAULT_PAUSE_S} s")
        self._store_ns = self._clock.monotonic_ns() + FAULT_PAUSE_S * NS_PER_S
        for transfer in self._units.values():
            transfer.incoming, transfer.correlation = None, b""

    def _complain(self, unit: str, text: str) -> None:
        """Logs a complaint once, until it changes."""
        if self._complaints.get(unit) != text:
            log.warning("%s: %s", unit, text) if unit else log.error("%s", text)
        self._complaints[unit] = text
