# SPDX-License-Identifier: Apache-2.0
"""Writes reports to the database, one transaction for each batch. Only committed reports may be acknowledged.

A unit has one writer (share.py), so a unit's rows that a transaction has read are still valid when it writes. With two
writers the primary key of `events` would make one of the transactions fail as a whole.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import batched
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, bindparam, insert, select, tuple_, update
from sqlalchemy.exc import DataError, IntegrityError

from linetap_core.clock import rfc3339
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import armored
from linetap_desk.ingest import callrow, heads, judge, outages, pbxdays, register, vaults
from linetap_desk.ingest.destroyedcalls import clear_events
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.judge import Event, EventVerdict, Neighbour, Report
from linetap_desk.ingest.register import Arrival, SignerNames, UnitMessage
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.ingest.tables import calls, events, from_record, origins, set_aside, units
from linetap_desk.ingest.vaults import Group, reached

MOST_SET_ASIDE = 1000  # kept for each unit; further ones are counted and logged
_KEYS_AT_ONCE = 250  # in one statement
_MOST_OF_A_CALL = 1000  # events; a call has about eight
# Unforeseen faults of one report: the report is set aside, and the others continue.
_OF_ONE = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)

log = logging.getLogger("linetap.ingest")


class Store:
    def __init__(self, engine: Engine, marks_late: bool = True, share: Share = ALL_UNITS) -> None:
        """`marks_late`: False if events are reported again long after their first receipt (`linetap desk rebuild`)."""
        self._engine, self._marks_late, self._share = engine, marks_late, share
        self._names = SignerNames()

    def write(self, batch: Sequence[Arrival], signers: list[Signer]) -> dict[Group, int]:
        """Stores the batch; committed on return. SQLAlchemyError: the database has failed, and nothing was stored.

        Returns for every group with an event in the batch, also a repeated one, the number up to which all events are
        stored.
        """
        if not self._names.belong_to(signers):
            self._names = SignerNames(signers)
        try:
            return self._write(batch, signers)
        except (DataError, IntegrityError, *_OF_ONE) as error:
            reached: dict[Group, int] = {}
            if len(batch) == 1:
                self._set_aside_rejected(batch[0], error)
                return reached
            for one in batch:
                reached |= self.write([one], signers)
            return reached

    def reached(self) -> list[tuple[Group, int]]:
        """The last stored event of every group of the share; the most recently active group comes last."""
        with self._engine.connect() as db:
            wanted = select(origins.c.unit, origins.c.origin, origins.c.through).where(
                self._share.condition(origins.c.unit)
            )
            found = [
                ((unit, origin), through) for unit, origin, through in db.execute(wanted.order_by(origins.c.heard_at))
            ]
            replaced = vaults.replaced(db, (group for group, _ in found))
            return [(group, through) for group, through in found if group not in replaced]

    def ack_fields(self, groups: Collection[Group]) -> dict[Group, dict[str, str]]:
        """Additional fields of a confirmation to a unit."""
        with self._engine.connect() as db:
            return vaults.ack_fields(db, groups)

    def connected(self) -> None:
        """Resets states and alerts, since a broker repeats its retained messages: until then no unit is online or
        offline, and no alert is active."""
        with self._engine.begin() as db:
            register.forget_states(db, self._share)
            register.forget_alerts(db, self._share)

    # --- one transaction -------------------------------------------------------------------------------------

    def _write(self, batch: Sequence[Arrival], signers: list[Signer]) -> dict[Group, int]:
        with self._engine.begin() as db:
            accepted = register.register_units(db, batch, self._names)
            outages.store_outages(db, batch, accepted)
            notices = [arrival for arrival in batch if isinstance(arrival, UnitMessage) and arrival.unit in accepted]
            register.keep_alerts(db, notices)
            pbxdays.store_days(db, [arrival for arrival in notices if self._names.has(arrival.unit)])
            reports = [arrival for arrival in batch if isinstance(arrival, Report) and arrival.unit in accepted]
            judged = [(report, judge.judge_event(report, signers)) for report in reports]
            self._set_aside(db, [(report, verdict) for report, verdict in judged if isinstance(verdict, EventVerdict)])
            for arrival in batch:
                if (
                    isinstance(arrival, HeadReport)
                    and arrival.unit in accepted
                    and (fault := heads.store_head(db, arrival, signers))
                ):
                    self._set_aside(db, [(arrival, fault)])
            groups: dict[Group, list[Event]] = defaultdict(list)
            for _, event in judged:
                if isinstance(event, Event):
                    groups[event.fields.unit, event.fields.chain].append(event)
            return self._store_events(db, groups) if groups else {}

    def _store_events(self, db: Connection, groups: dict[Group, list[Event]]) -> dict[Group, int]:
        """Stores new events with one statement for all groups: a thousand units send one event each, not one unit a
        thousand."""
        before = _progress_of(db, groups)
        neighbours = _neighbours(db, groups)
        rows_by_chain: dict[Group, list[dict[str, Any]]] = {}
        numbers: dict[Group, int] = {}
        faults = []
        for group, events_of_chain in groups.items():
            neighbours_of_chain, (_, newest) = neighbours[group], before.get(group, (0, 0))
            now = rfc3339(max(event.report.received_ns for event in events_of_chain))
            rows = rows_by_chain[group] = []
            for event in events_of_chain:
                verdict = judge.check_chain(event, neighbours_of_chain)
                if verdict.kind in judge.STORED:
                    neighbours_of_chain[event.fields.seq] = Neighbour(event.sha256, event.fields.prev)
                    rows.append(_event_row(event, self._marks_late and judge.is_late(event, newest)))
                    newest = max(newest, event.fields.seq)
                elif verdict.kind != "double":
                    faults.append((event.report, verdict))
                    if verdict.code == judge.SEQ_TAKEN:
                        vaults.alert_fork(db, group, event.fields.seq, rfc3339(event.at_ns), now)
                if verdict.kind in judge.STORED and event.fields.event == "vault" and event.fields.number is not None:
                    numbers[group] = event.fields.number
        self._set_aside(db, faults)
        if rows := [row for events_of_chain in rows_by_chain.values() for row in events_of_chain]:
            db.execute(insert(events), rows)
            vaults.check_vaults(
                db, rows_by_chain, groups.keys() - before.keys(), max(row["received_at"] for row in rows)
            )
            for group, number in numbers.items():
                vaults.store_signed_number(db, group, number)
            stored = {(row["unit"], row["origin"], row["seq"]) for row in rows}
            amending = [
                event
                for (unit, chain), events_of_chain in groups.items()
                for event in events_of_chain
                if event.fields.event == callrow.AMENDED and (unit, chain, event.fields.seq) in stored
            ]
            update_calls(db, {(row["unit"], row["call_id"]) for row in rows if row["call_id"]})
            callrow.store_amendments(db, amending)
        through = {group: before[group][0] if group in before else vaults.before_first(group[1]) for group in groups}
        through |= _advance(
            db, {group: events_of_chain for group, events_of_chain in rows_by_chain.items() if events_of_chain}, before
        )
        replaced = vaults.replaced(db, through)
        return {group: reached for group, reached in through.items() if group not in replaced}

    def _set_aside(self, db: Connection, faults: Iterable[tuple[Report | HeadReport, EventVerdict]]) -> None:
        """Stores each faulty report once, even if it is sent again. Beyond the limit faulty reports are only
        counted."""
        for report, verdict in faults:
            digest = hashlib.sha256(report.payload + b"\0" + report.sig.encode("utf-8")).hexdigest()
            same = (set_aside.c.unit == report.unit, set_aside.c.code == verdict.code, set_aside.c.sha256 == digest)
            if db.execute(select(set_aside.c.id).where(*same)).first() is not None:
                continue
            mine = units.c.unit == report.unit
            count = db.execute(select(units.c.set_aside).where(mine)).scalar_one()
            db.execute(update(units).where(mine).values(set_aside=count + 1))
            log.warning("%s: %s: set aside: %s", verdict.code, report.unit, verdict.text)
            if count == MOST_SET_ASIDE:
                log.error("set_aside_full: %s: %d are kept; more are only counted", report.unit, MOST_SET_ASIDE)
            if count < MOST_SET_ASIDE:
                db.execute(insert(set_aside).values(
                    unit=report.unit, kind=verdict.kind, code=verdict.code, text=verdict.text[:500], sha256=digest,
                    bytes=len(report.payload), payload=report.payload[: judge.LIMIT_BYTES],
                    # PostgreSQL accepts no NUL in a text; rejecting this row would block all others.
                    sig=report.sig[: judge.LIMIT_BYTES].replace("\0", "?"), received_at=rfc3339(report.received_ns),
                ))  # fmt: skip

    def _set_aside_rejected(self, arrival: Arrival, error: Exception) -> None:
        """Sets aside a single report that the database rejects, so that it does not block the following ones."""
        log.error("not_storable: %s: %s", arrival.unit, type(error).__name__)
        if not isinstance(arrival, UnitMessage):
            with self._engine.begin() as db:
                register.register_units(db, [arrival], self._names)
                self._set_aside(db, [(arrival, EventVerdict("bad_payload", "not_storable", type(error).__name__))])


def _progress_of(db: Connection, groups: Iterable[Group]) -> dict[Group, tuple[int, int]]:
    """`through` and `newest` of the known groups."""
    wanted = select(origins.c.unit, origins.c.origin, origins.c.through, origins.c.newest)
    found = db.execute(wanted.where(tuple_(origins.c.unit, origins.c.origin).in_(list(groups))))
    return {(unit, origin): (through, newest) for unit, origin, through, newest in found}


def _neighbours(db: Connection, groups: Mapping[Group, list[Event]]) -> dict[Group, dict[int, Neighbour]]:
    """The stored neighbours of each event, and the event itself if it is stored."""
    keys = {(*group, event.fields.seq + step) for group, its in groups.items() for event in its for step in (-1, 0, 1)}
    wanted = select(events.c.unit, events.c.origin, events.c.seq, events.c.sha256, events.c.prev)
    neighbours: dict[Group, dict[int, Neighbour]] = {group: {} for group in groups}
    for some in batched(sorted(keys), _KEYS_AT_ONCE, strict=False):
        found = db.execute(wanted.where(tuple_(events.c.unit, events.c.origin, events.c.seq).in_(some)))
        for unit, origin, seq, sha256, prev in found:
            neighbours[unit, origin][seq] = Neighbour(sha256, prev)
    return neighbours


def _advance(
    db: Connection, rows_by_chain: Mapping[Group, list[dict[str, Any]]], before: Mapping[Group, tuple[int, int]]
) -> dict[Group, int]:
    """Writes the progress of each group; returns `through`."""
    new, old, reached_by_chain = [], [], {}
    for group, rows in rows_by_chain.items():
        through, newest = before.get(group, (vaults.before_first(group[1]),) * 2)
        seqs = sorted(row["seq"] for row in rows)
        if newest == through and seqs == list(range(through + 1, through + 1 + len(seqs))) and not _drops(rows):
            through = seqs[-1]  # the next event, with none waiting behind it
        else:
            through = reached(db, group, through)
        reached_by_chain[group] = through
        heard_at = max(row["received_at"] for row in rows)
        numbers = {"through": through, "newest": max(newest, seqs[-1]), "heard_at": heard_at}
        if group in before:
            old.append({"of": group[0], "by": group[1], **numbers})
        else:
            new.append({"unit": group[0], "origin": group[1], **numbers})
    if new:
        db.execute(insert(origins), new)
    if old:
        same_chain = (origins.c.unit == bindparam("of"), origins.c.origin == bindparam("by"))
        db.execute(update(origins).where(*same_chain), old)
    return reached_by_chain


def _drops(rows: Iterable[dict[str, Any]]) -> bool:
    return any(row["dropped_to"] is not None for row in rows)


def _event_row(event: Event, late: bool) -> dict[str, Any]:
    fields, report = event.fields, event.report
    return {
        "unit": fields.unit, "origin": fields.chain, "seq": fields.seq, "event": fields.event,
        "at": rfc3339(event.at_ns), "call_id": fields.call_id, "line": fields.line, "prev": fields.prev,
        "sha256": event.sha256, "payload": report.payload, "sig": armored(report.sig),
        "dropped_from": fields.from_seq if fields.event == "dropped" else None,
        "dropped_to": fields.to_seq if fields.event == "dropped" else None,
        "received_at": rfc3339(report.received_ns), "late": late,
    }  # fmt: skip


def update_calls(db: Connection, names: set[tuple[str, str]]) -> None:
    """Derives each call's row again from all of its events. `names`: unit, call_id."""
    if not names:
        return
    new, old = [], []
    for batch in batched(sorted(names), _KEYS_AT_ONCE, strict=False):
        stored = {
            (unit, name)
            for unit, name in db.execute(select(calls.c.unit, calls.c.call_id).where(_is_one_of(calls, batch)))
        }
        records: dict[tuple[str, str], list[callrow.Part]] = defaultdict(list)
        for row in db.execute(
            select(from_record).where(_is_one_of(from_record, batch)).order_by(from_record.c.event.desc())
        ):
            records[row.unit, row.call_id].append(callrow.Part(judge.event_fields(row.payload), row.at, late=False))
        events = _events_of(db, batch)
        for unit, call_id in sorted(events.keys() | records.keys()):
            events_of_call = events.get((unit, call_id), [])
            if not all(
                event.payload for event in events_of_call
            ):  # a late event of a cleared call: its row is not derived again
                same_call = (calls.c.unit == unit, calls.c.call_id == call_id)
                clear_events(db, unit, call_id, db.execute(select(calls.c.destroyed_at).where(*same_call)).scalar_one())
                continue
            parts = [callrow.Part(judge.event_fields(event.payload), event.at, event.late) for event in events_of_call]
            its = callrow.row(callrow.with_records(parts, records.get((unit, call_id), [])))
            if (unit, call_id) in stored:
                old.append({"of": unit, "by": call_id, **its})
            else:
                new.append({"unit": unit, "call_id": call_id, **its})
    if new:
        db.execute(insert(calls), new)
    if old:
        same_call = (calls.c.unit == bindparam("of"), calls.c.call_id == bindparam("by"))
        db.execute(update(calls).where(*same_call), old)


def _events_of(db: Connection, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Any]]:
    """The events of these calls in order, a limited number for each call."""
    wanted = select(events.c.unit, events.c.call_id, events.c.payload, events.c.at, events.c.late)
    ordered = wanted.where(_is_one_of(events, names)).order_by(events.c.unit, events.c.origin, events.c.seq)
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in db.execute(ordered.limit(_MOST_OF_A_CALL * len(names))):
        if len(its := found[row.unit, row.call_id]) < _MOST_OF_A_CALL:
            its.append(row)
    return found


def _is_one_of(table: Table, names: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    return tuple_(table.c.unit, table.c.call_id).in_(names)
