# SPDX-License-Identifier: Apache-2.0
"""Derives the row of a call from its events in any order of arrival, and applies the amendments of calls.

An event repeated from the unit's log and records has the times of lost events in separate fields. These count if no
other event has them. Amendments are stored as signed, and applied to the end of the copies. A unit alone cannot shorten
the retention of a copy: a shorter period counts from the copy's arrival, by the desk's own time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from linetap_core.clock import NS_PER_DAY, NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import amendment
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing.sshsig import armored
from linetap_core.records import END_STEPS
from linetap_desk.ingest import judge
from linetap_desk.ingest.judge import Event, EventFields
from linetap_desk.ingest.tables import amendments, calls, copies, events

AMENDED = "amended"
LONGEST_NS = 36_525 * NS_PER_DAY  # the longest period of any class of retention

log = logging.getLogger("linetap.ingest")


def bounded_period_ns(ns: int) -> int:
    """The period of a copy, from its unit's times: none at least, and no longer than any class has."""
    return max(0, min(ns, LONGEST_NS))


def amendment_of(fields: EventFields) -> Amendment | None:
    """The amendment in an event, if it is signed and of this call. The event determines whose key must have signed
    it."""
    if fields.event != AMENDED or fields.amendment is None or fields.amendment_sig is None or fields.call_id is None:
        return None
    data = fields.amendment.encode("utf-8")
    try:
        return amendment.check(
            data, armored(fields.amendment_sig).encode("ascii", "replace"), fields.unit, fields.call_id,
            fields.record_sha256 or "", None,
        )  # fmt: skip
    except Refusal as refusal:
        log.warning("%s: %s: %s: %s", refusal.code, fields.unit, fields.call_id, refusal)
        return None


def store_amendments(db: Connection, events: Iterable[Event]) -> None:
    """Stores the amendments of these events. The events are stored already."""
    for event in events:
        if (document := amendment_of(event.fields)) is None:
            continue
        of_call = (amendments.c.unit == document.unit, amendments.c.call_id == document.call_id)
        same_number = (*of_call, amendments.c.number == document.number)
        if db.execute(select(amendments.c.number).where(*same_number)).first() is None:
            db.execute(insert(amendments).values(
                unit=document.unit, call_id=document.call_id, number=document.number,
                document=amendment.encode(document), sig=armored(event.fields.amendment_sig or ""),
                until=_normal(document.until),
            ))  # fmt: skip
        else:  # reported again after a power cut; the last report counts
            db.execute(update(amendments).where(*same_number).values(
                document=amendment.encode(document), sig=armored(event.fields.amendment_sig or ""),
                until=_normal(document.until), stored_at=None,
            ))  # fmt: skip
        apply_amendment(db, document.unit, document.call_id)


def last_amendment(db: Connection, unit: str, call_id: str) -> Amendment | None:
    mine = (amendments.c.unit == unit, amendments.c.call_id == call_id)
    data = db.execute(select(amendments.c.document).where(*mine).order_by(amendments.c.number.desc()).limit(1)).scalar()
    return None if data is None else amendment.decode(data)


def apply_amendment(db: Connection, unit: str, call_id: str) -> None:
    """Updates the end of a call's copy, if there is a copy and an amendment."""
    mine = (copies.c.unit == unit, copies.c.call_id == call_id)
    copy = db.execute(select(copies).where(*mine, copies.c.removed_at.is_(None))).first()
    if copy is None or (found := last_amendment(db, unit, call_id)) is None or amendment_is_of_other(db, found):
        return
    until, ended_ns = _normal(found.until), parse_rfc3339(found.ended_at)
    period_ns = copy.period_s * NS_PER_S if copy.period_s is not None else parse_rfc3339(found.until) - ended_ns
    kept = rfc3339(parse_rfc3339(copy.stored_at) + bounded_period_ns(period_ns))
    db.execute(update(copies).where(*mine).values(until=until, look_at=max(until, kept)))


def amendment_is_of_other(db: Connection, document: Amendment) -> bool:
    """Whether the amendment belongs to another record than the desk's."""
    of_call = (calls.c.unit == document.unit, calls.c.call_id == document.call_id)
    record_sha256 = db.execute(select(calls.c.record_sha256).where(*of_call)).scalar()
    return record_sha256 is not None and record_sha256 != document.record_sha256


def _normal(text: str) -> str:
    """The text normalised, so that text order is time order."""
    return rfc3339(parse_rfc3339(text))


# event -> the column for its time
_TIMES = {
    "answered": "answered_at",
    "ended": "ended_at",
    "missed": "ended_at",
    "sealed": "sealed_at",
    "held": "held_at",
    "copied": "copied_at",
    "destroyed": "destroyed_at",
}
HOLD_ENDED = "hold_ended"
# Later events override earlier ones.
_FIELDS = (
    "line", "direction", "disposition", "duration_s", "notice", "mark", "gaps_ms", "why", "record_sha256", "proof",
)  # fmt: skip
# Only these events state the situation of an ended call: refused or stopped ends have a situation too.
_ENDS, _OF_END = ("ended", "sealed"), ("situation", "seen_by")
_MOST_STEPS = 64


@dataclass(frozen=True, slots=True)
class Part:
    """One stored event of a call; `occurred_at` in the form of the tables."""

    fields: EventFields
    occurred_at: str
    late: bool


def row(parts: Sequence[Part]) -> dict[str, Any]:
    """The columns of `calls` without its key. Events are ordered by origin and number, origins by their first event."""
    first: dict[str, str] = {}
    began = [part.occurred_at for part in parts]
    for part in parts:
        first[part.fields.chain] = min(part.occurred_at, first.get(part.fields.chain, part.occurred_at))
    ordered = sorted(parts, key=lambda part: (first[part.fields.chain], part.fields.chain, part.fields.seq))
    columns: dict[str, Any] = dict.fromkeys((*_TIMES.values(), *_FIELDS, *_OF_END))
    for part in sorted(ordered, key=lambda part: not part.fields.rebuilt):
        if (part.fields.event, part.fields.why) == ("held", HOLD_ENDED):
            columns["held_at"] = None  # `why` of this event does not describe the call
            continue
        for name in (*_FIELDS, *(_OF_END if part.fields.event in _ENDS else ())):
            if (value := getattr(part.fields, name)) is not None:
                columns[name] = value
        if (column := _TIMES.get(part.fields.event)) is not None:
            columns[column] = part.occurred_at
        if part.fields.rebuilt:
            began += _time(part.fields.began_at)
            for name in ("answered_at", "ended_at"):
                columns[name] = next(iter(_time(getattr(part.fields, name))), columns[name])
    _amend(columns, began, ordered)
    return columns | {
        "began_at": min(began),
        "late": any(part.late for part in parts),
        "rebuilt": any(part.fields.rebuilt for part in parts),
        "steps": _steps(ordered),
    }


def _steps(ordered: Sequence[Part]) -> str | None:
    """The steps of ending the call, in order: from `sealed`, before it from the separate reports."""
    sealed = [part.fields.steps for part in ordered if part.fields.event == "sealed"]
    steps = sealed[-1] if sealed else tuple(part.fields.event for part in ordered if part.fields.event in END_STEPS)
    return " ".join(steps[:_MOST_STEPS]) or None


def _amend(columns: dict[str, Any], began: list[str], ordered: Sequence[Part]) -> None:
    """Sets the corrected times of the call, from an amendment, otherwise from a record that has both times."""
    corrected: tuple[str, str] | None = None
    for part in ordered:
        fields = part.fields
        if fields.event == "sealed" and not fields.rebuilt and fields.began_at and fields.ended_at:
            corrected = fields.began_at, fields.ended_at
        elif (document := amendment_of(fields)) is not None:
            corrected = document.began_at, document.ended_at
    began_true, ended_true = (_time(corrected[0]), _time(corrected[1])) if corrected is not None else ([], [])
    if not began_true or not ended_true:  # invalid times correct nothing
        return
    began_at, ended_at = began_true[0], ended_true[0]
    if columns["answered_at"] and columns["ended_at"]:
        answered_for_ns = parse_rfc3339(columns["ended_at"]) - parse_rfc3339(columns["answered_at"])
        columns["answered_at"] = rfc3339(max(0, parse_rfc3339(ended_at) - max(0, answered_for_ns)))
    columns["ended_at"] = columns["sealed_at"] = ended_at
    began[:] = [began_at]


def with_records(parts: Sequence[Part], records: Sequence[Part]) -> list[Part]:
    """Adds the fields of verified documents (`records`); the unit's own signed event of that kind takes
    precedence."""
    kinds = {part.fields.event for part in parts}
    return [*(one for one in records if one.fields.event not in kinds), *parts]


def _time(text: str | None) -> list[str]:
    """The time in the form of the tables; empty if it cannot be used."""
    at_ns = judge.time_ns(text) if text else None
    return [] if at_ns is None else [rfc3339(at_ns)]


def is_held(db: Connection, *of_call: ColumnElement[bool]) -> bool | None:
    """Whether the call is held, by the unit's last report of a hold; None without one. "Last" is by event number, not
    by the unit's clock; of several keys or vaults the last received counts."""
    wanted = select(events.c.origin, events.c.seq, events.c.received_at, events.c.payload)
    newest: dict[str, Any] = {}
    for row in db.execute(wanted.where(*of_call, events.c.event == "held").order_by(events.c.seq)):
        newest[row.origin] = row
    if not newest:
        return None
    last = max(newest.values(), key=lambda row: str(row.received_at))
    return judge.event_fields(last.payload).why != HOLD_ENDED
