# SPDX-License-Identifier: Apache-2.0
"""The events of a sealed call for the desk, from its record; and rebuilt ones, from log and record, for calls whose
events are lost. Pure.
"""

from __future__ import annotations

import msgspec

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.records import ABUSE, END_STEPS, CallEvent, CallRecord, Disposition


class LeafOfCall(Leaf, kw_only=True):
    """The fields of a leaf from which an event can be rebuilt."""

    line: int | None = None
    disposition: Disposition | None = None
    ended: bool = False  # of a hold


def ended_event(record: CallRecord) -> CallEvent:
    """The event before the seal. The desk may have it already; the outbox checks that."""
    return CallEvent(
        seq=0,
        event="missed" if record.disposition == "missed" else "ended",
        at=record.ended_at or "",
        unit=record.unit,
        call_id=record.call_id,
        line=record.line,
        direction=record.direction,
        disposition=record.disposition,
        why=record.why or record.ended_by,
        duration_s=record.duration_s,
        situation=record.end.situation if record.end else None,
        seen_by=record.end.seen_by if record.end else None,
    )


def sealed_event(record: CallRecord, record_sha256: str, at: str) -> CallEvent:
    """The event of the seal. `at` applies if the record has no end of the call."""
    return CallEvent(
        seq=0,
        event="sealed",
        at=record.ended_at or at,
        unit=record.unit,
        call_id=record.call_id,
        line=record.line,
        disposition=record.disposition,
        gaps_ms=round(sum(gap.ms for gap in record.audio.gaps), 3) if record.audio else None,
        record_sha256=record_sha256,
        began_at=record.actual.began_at if record.actual else None,
        ended_at=record.actual.ended_at if record.actual else None,
        situation=record.end.situation if record.end else None,
        seen_by=record.end.seen_by if record.end else None,
        proof=record.notice.proof if record.notice else None,
        steps=[mark.kind for mark in record.marks if mark.kind in END_STEPS],
    )


def rebuilt_event(
    leaf: LeafOfCall, record: CallRecord | None, document: tuple[str, str, str] | None = None
) -> CallEvent | None:
    """A rebuilt event, marked as repeated, with the fields still known; None for a leaf without an event.

    `record`: the record that a `close` names, if it still exists. A destroyed call has only its leaf.
    `document`: the amendment that a leaf names, its signature without armour, and the hash of its record.
    """
    if leaf.call_id is None:
        return None
    try:
        began_at = rfc3339(sealed.call_ns(leaf.call_id))
    except BadInput:
        return None
    event = CallEvent(seq=0, event="sealed", at=leaf.at, unit="", call_id=leaf.call_id, line=leaf.line, rebuilt=True)
    change = msgspec.structs.replace
    match leaf.kind:
        case "close" if record is not None:
            true = record.actual.began_at if record.actual else began_at
            return change(_of_record(record, leaf), began_at=true, rebuilt=True)
        case "close":
            return change(event, disposition=leaf.disposition, record_sha256=leaf.record_sha256, began_at=began_at)
        case "hold":
            return change(event, event="held", why="hold_ended" if leaf.ended else None)
        case "amendment" if document is not None:
            text, signature, record_sha256 = document
            return change(
                event, event="amended", record_sha256=record_sha256, document_sha256=leaf.sha256, amendment=text,
                amendment_sig=signature, rebuilt=False,
            )  # fmt: skip
        case "copy":
            return change(event, event="copied")
        case "destruction":
            return change(event, event="destroyed", why="retention", record_sha256=leaf.record_sha256)
    return None


def _of_record(record: CallRecord, leaf: LeafOfCall) -> CallEvent:
    notice = record.notices[-1] if record.notices else record.notice
    return msgspec.structs.replace(
        sealed_event(record, leaf.record_sha256 or "", leaf.at),
        direction=record.direction,
        why=record.why or None,
        duration_s=record.duration_s,
        notice=notice.id if notice else None,
        mark=ABUSE if any(mark.kind == ABUSE for mark in record.marks) else None,
        answered_at=None if record.actual else record.answered_at,
        ended_at=record.actual.ended_at if record.actual else record.ended_at,
    )
