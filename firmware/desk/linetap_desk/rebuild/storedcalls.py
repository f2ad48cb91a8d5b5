# SPDX-License-Identifier: Apache-2.0
"""Adds the calls in the store of copies to the new database, each after its signed record is verified.

The audio is not read: `linetap verify` of the store checks it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, delete, exists, insert, select

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.errors import Refusal, file_and_reason
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Hold
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.records import CallEvent, CallRecord
from linetap_core.vaultformat import callevents
from linetap_desk.copy import worklist
from linetap_desk.copy.incoming import Call, RetentionTerm, read_record
from linetap_desk.copy.recordfile import DeskHolds, read_holds
from linetap_desk.copy.store import Store, Stored
from linetap_desk.ingest.store import update_calls
from linetap_desk.ingest.tables import calls, copies, events, from_record
from linetap_desk.proofs.callfolder import Damaged

MOST_PRINTED = 20  # refused entries printed in full
_AT_ONCE = 200
_NO_SHA256, _NO_ORIGIN = "0" * 64, "record"


@dataclass(slots=True)
class Refused:
    """Entries of the store, or of the holds, that are not valid evidence."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def add(self, code: str, where: str, text: str) -> None:
        self.counts[code] += 1
        if len(self.lines) < MOST_PRINTED:
            self.lines.append(f"{code}: {where}: {text}")


def store_copies(
    store: Store, holds: Path | None, new: Engine, trusted: list[Signer], refused: Refused, now_ns: int
) -> int:
    """Adds the copies; returns the number of calls with one. OSError: the store is unavailable."""
    count, kept = 0, DeskHolds() if holds is None else read_holds(holds)
    if kept.unread:
        refused.add("hold_unread", str(holds), kept.unread)
    for some in batched(_verified_copies(store, trusted, refused), _AT_ONCE, strict=False):
        with new.begin() as db:
            for call, record, at_ns in some:
                worklist.record_stored(db, call, RetentionTerm.from_record(record), at_ns)
                rows = [_row(_seal_event(record, call))]
                for path in kept.paths.get(call.call_id, ()):
                    if (held := _stored_hold(path, call, refused, now_ns)) is not None:
                        rows.append(_row(held))
                        break
                db.execute(insert(from_record), rows)
            update_calls(db, {(call.unit, call.call_id) for call, _, _ in some})
        count += len(some)
    return count


def settle(new: Engine, refused: Refused) -> int:
    """Resolves contradictions after the units have reported; returns the number of calls known by their record only. A
    unit's signed event that names another record overrides a copy; a call with its own event needs no record any
    more."""
    with new.begin() as db:
        for unit, call_id in db.execute(_contradiction_query()).all():
            refused.add("copy_changed", f"{unit}/{call_id}", "its record is another than the unit's event names")
            db.execute(delete(copies).where(copies.c.unit == unit, copies.c.call_id == call_id))
        same = (events.c.unit == from_record.c.unit, events.c.call_id == from_record.c.call_id)
        db.execute(delete(from_record).where(exists().where(*same, events.c.event == from_record.c.event)))
        left = select(from_record.c.unit, from_record.c.call_id).where(from_record.c.event == "sealed")
        return len(db.execute(left).all())


def _contradiction_query() -> Any:
    """The query of copies whose call has another record by its event."""
    mine = (calls.c.unit == copies.c.unit) & (calls.c.call_id == copies.c.call_id)
    found = select(copies.c.unit, copies.c.call_id).join(calls, mine)
    return found.where(copies.c.removed_at.is_(None), copies.c.record_sha256 != calls.c.record_sha256)


def _verified_copies(store: Store, trusted: list[Signer], refused: Refused) -> Iterator[tuple[Call, CallRecord, int]]:
    for found in store.calls():
        if isinstance(found, str):
            refused.add("copy_no_call", found, "not a call in its place, or it cannot be read")
            continue
        call = Call(found.unit, found.call_id, hashlib.sha256(found.record).hexdigest())
        try:
            yield call, _record(found, call, trusted), found.at_ns
        except Refusal as error:
            refused.add(getattr(error, "code", "refused"), f"{call.unit}/{call.call_id}", str(error))


def _record(found: Stored, call: Call, trusted: list[Signer]) -> CallRecord:
    """The record. A Refusal unless a signer of this unit signed it, and every file that it names exists."""
    if len(found.record) > sealed.RECORD_LIMIT_BYTES or len(found.signature) > sshsig.SIGNATURE_LIMIT_BYTES:
        raise Damaged("copy_size", "the record or its signature is larger than any can be")
    at = sealed.call_time(call.call_id)
    signers.verify(found.record, found.signature, namespaces.RECORD, trusted, call.unit, at)
    record = read_record(found.record, call)
    if missing := sorted(record.files.keys() - found.names):
        raise Damaged("copy_incomplete", f"{missing[0]} is not there")
    if record.retention is not None and record.retention.until is not None:
        try:
            parse_rfc3339(record.retention.until)
        except (ValueError, OverflowError):
            raise Damaged("copy_record", "its `until` is no time") from None
    return record


def _seal_event(record: CallRecord, call: Call) -> CallEvent:
    """The event as its unit would repeat it from log and record."""
    at = record.ended_at or rfc3339(sealed.call_ns(call.call_id))
    leaf = callevents.LeafOfCall(
        kind="close", at=at, call_id=call.call_id, line=record.line, disposition=record.disposition,
        record_sha256=call.record_sha256,
    )  # fmt: skip
    event = callevents.rebuilt_event(leaf, record)
    assert event is not None
    return msgspec.structs.replace(event, unit=call.unit)


def _stored_hold(path: Path, call: Call, refused: Refused, now_ns: int) -> CallEvent | None:
    """A hold stored at the desk that has not ended. Its signature is not checked here, but when the call is opened."""
    try:
        with path.open("rb") as file:
            data = file.read(hold.LIMIT_BYTES + 1)
        with namespaces.signature_path(path).open("rb") as file:
            signature = file.read(sshsig.SIGNATURE_LIMIT_BYTES + 1)
        sshsig.check(data, signature, namespaces.HOLD)
        document = hold.decode(data)
        if not isinstance(document, Hold) or (document.unit, document.call_id, document.record_sha256) != (
            call.unit, call.call_id, call.record_sha256,
        ):  # fmt: skip
            raise Damaged("hold_record", "it is of another call, or another record")
        if parse_rfc3339(document.until) <= now_ns:
            return None
        return CallEvent(seq=1, event="held", at=rfc3339(parse_rfc3339(document.made_at)), unit=call.unit,
                         call_id=call.call_id, rebuilt=True)  # fmt: skip
    except Refusal as error:
        refused.add(getattr(error, "code", "refused"), str(path), str(error))
    except OSError as error:
        refused.add("hold_unread", str(path), file_and_reason(error))
    except (ValueError, OverflowError) as error:
        refused.add("hold_unread", str(path), str(error))
    return None


def _row(event: CallEvent) -> dict[str, Any]:
    """The event's row. `seq` and `prev` have a valid form without meaning: the event has no position in a chain."""
    event = msgspec.structs.replace(event, seq=1, prev=_NO_SHA256, origin=_NO_ORIGIN)
    payload = msgspec.json.encode(event)
    return {"unit": event.unit, "call_id": event.call_id, "event": event.event, "at": event.at, "payload": payload}
