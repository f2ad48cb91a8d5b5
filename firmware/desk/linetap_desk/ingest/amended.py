# SPDX-License-Identifier: Apache-2.0
"""Amendments of calls as reported by units: stored as signed, and applied to the end of the copies.

A unit alone cannot shorten the life of a copy: a shorter period counts from the copy's arrival, by the desk's own time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sqlalchemy import Connection, insert, select, update

from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import amendment
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing.sshsig import armored
from linetap_desk.ingest.judge import Event, Told
from linetap_desk.ingest.tables import amendments, calls, copies

KIND = "amended"

log = logging.getLogger("linetap.ingest")


def of_event(told: Told) -> Amendment | None:
    """The document that an event brings, if it is one of this call and signed; whose key that is, the event says."""
    if told.event != KIND or told.amendment is None or told.amendment_sig is None or told.call_id is None:
        return None
    data = told.amendment.encode("utf-8")
    try:
        return amendment.check(
            data, armored(told.amendment_sig).encode("ascii", "replace"), told.unit, told.call_id,
            told.record_sha256 or "", None,
        )  # fmt: skip
    except Refusal as refusal:
        log.warning("%s: %s: %s: %s", refusal.code, told.unit, told.call_id, refusal)
        return None


def note(db: Connection, events: Iterable[Event]) -> None:
    """Those that came with these events, which are stored."""
    for event in events:
        if (found := of_event(event.told)) is None:
            continue
        mine = (amendments.c.unit == found.unit, amendments.c.call_id == found.call_id)
        if db.execute(select(amendments.c.number).where(*mine, amendments.c.number == found.number)).first() is None:
            db.execute(insert(amendments).values(
                unit=found.unit, call_id=found.call_id, number=found.number, document=amendment.encode(found),
                sig=armored(event.told.amendment_sig or ""), until=_normal(found.until),
            ))  # fmt: skip
        else:  # told once more after a power cut in between: the last word of it is beside the record
            db.execute(update(amendments).where(*mine, amendments.c.number == found.number).values(
                document=amendment.encode(found), sig=armored(event.told.amendment_sig or ""),
                until=_normal(found.until), stored_at=None,
            ))  # fmt: skip
        apply(db, found.unit, found.call_id)


def last(db: Connection, unit: str, call_id: str) -> Amendment | None:
    mine = (amendments.c.unit == unit, amendments.c.call_id == call_id)
    data = db.execute(select(amendments.c.document).where(*mine).order_by(amendments.c.number.desc()).limit(1)).scalar()
    return None if data is None else amendment.decode(data)


def apply(db: Connection, unit: str, call_id: str) -> None:
    """To the copy of a call, if there is one and an amendment: until when it stays."""
    mine = (copies.c.unit == unit, copies.c.call_id == call_id)
    copy = db.execute(select(copies).where(*mine, copies.c.removed_at.is_(None))).first()
    if copy is None or (found := last(db, unit, call_id)) is None or amendment_is_of_other(db, found):
        return
    until, ended_ns = _normal(found.until), parse_rfc3339(found.ended_at)
    period_ns = copy.period_s * NS_PER_S if copy.period_s is not None else parse_rfc3339(found.until) - ended_ns
    kept = rfc3339(parse_rfc3339(copy.stored_at) + period_ns)
    db.execute(update(copies).where(*mine).values(until=until, look_at=max(until, kept)))


def amendment_is_of_other(db: Connection, found: Amendment) -> bool:
    """Of another record than the desk knows of this call."""
    mine = (calls.c.unit == found.unit, calls.c.call_id == found.call_id)
    known = db.execute(select(calls.c.record_sha256).where(*mine)).scalar()
    return known is not None and known != found.record_sha256


def _normal(text: str) -> str:
    """So that its order is that of the time."""
    return rfc3339(parse_rfc3339(text))
