# SPDX-License-Identifier: Apache-2.0
"""Stores the signed heads of the units' logs, and compares each with the earlier head of the same log.

A log that became shorter, or has two different heads over the same number of leaves, was altered; the unit's own
signatures prove that. A log that begins anew has another name, and raises the alert `log_begun`: a disk was lost, or a
log did not match its head. Only a witness, which reads the log itself, proves the leaves between two heads (`linetap
witness`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from linetap_core.clock import FIRST_NS, NS_PER_DAY, from_utc_ns, parse_rfc3339, rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import armored
from linetap_desk.ingest.judge import EventVerdict
from linetap_desk.ingest.tables import alerts, heads

ROLLBACK, FORK = CODES = "log_rollback", "log_fork"
BEGUN = "log_begun"
AHEAD_NS = NS_PER_DAY  # a unit's clock may be off by so much
MOST_MISFITS = 100  # kept for each unit: two are proof, and a unit signs a head every ten seconds

log = logging.getLogger("linetap.ingest")


@dataclass(frozen=True, slots=True)
class HeadReport:
    """A message of the topic `log`, as judge.Report is one of the topic `call`."""

    unit: str
    payload: bytes
    sig: str
    received_ns: int


def store_head(db: Connection, report: HeadReport, signers: list[Signer]) -> EventVerdict | None:
    """Stores the head; returns its fault if it is not a valid head of its unit. An empty retained message is
    ignored."""
    if not report.payload:
        return None
    if len(report.payload) > unitlog.HEAD_LIMIT_BYTES:
        text = f"{len(report.payload)} bytes, {unitlog.HEAD_LIMIT_BYTES} at most"
        return EventVerdict("bad_payload", "payload_too_large", text)
    try:
        head = unitlog.check_head(report.payload, armored(report.sig).encode("utf-8"), signers,
                                  seen=from_utc_ns(report.received_ns))  # fmt: skip
    except Refusal as fault:
        return EventVerdict("bad_signature", fault.code, str(fault))
    if head.unit != report.unit:
        return EventVerdict(
            "bad_payload", "payload_unit", f"it names unit {head.unit!r} and came under {report.unit!r}"
        )
    _place(db, head, report)
    return None


def misfit(head: Head, received_ns: int, known: Row[Any]) -> str:
    """ROLLBACK, FORK, or empty. `known`: the row of the head that it is compared with. A shorter head signed before the
    longer one is not a rollback: a broker that lost its last changes repeats an old head."""
    if head.size == known.size and head.root != known.root:
        return FORK
    return ROLLBACK if head.size < known.size and _is_later(head, received_ns, known) else ""


def _is_later(head: Head, received_ns: int, known: Row[Any]) -> bool:
    """Whether the head was signed after the known one, by their own times. A known head of a wrong clock, of the future
    when it was received or of before this software, would hide every later one, or accuse an earlier one: then a day
    after its reception counts."""
    at_ns, known_ns, had_ns = parse_rfc3339(head.at), parse_rfc3339(known.at), parse_rfc3339(known.received_at)
    is_right = FIRST_NS <= known_ns <= had_ns + AHEAD_NS
    return at_ns > (known_ns if is_right or at_ns > received_ns + AHEAD_NS else had_ns + AHEAD_NS)


def _place(db: Connection, head: Head, report: HeadReport) -> None:
    of_key = (heads.c.unit == head.unit, heads.c.origin == head.origin)
    of_log = (*of_key, func.coalesce(heads.c.log, "") == head.log)
    newest = db.execute(select(heads).where(*of_log, heads.c.code == "")).first()
    if newest is None and (other_log := db.execute(select(heads.c.size).where(*of_key).limit(1)).first()) is not None:
        _alert(db, BEGUN, head, other_log.size, rfc3339(report.received_ns))
    code = misfit(head, report.received_ns, newest) if newest is not None else ""
    row = {
        "unit": head.unit, "origin": head.origin, "code": code, "size": head.size, "root": head.root, "at": head.at,
        "head": report.payload, "sig": armored(report.sig), "received_at": rfc3339(report.received_ns),
        "log": head.log,
    }  # fmt: skip
    if newest is None:
        db.execute(insert(heads).values(**row))
    elif code:
        misfits = select(func.count()).select_from(heads).where(*of_log, heads.c.code != "")
        same_head = select(heads.c.id).where(*of_log, heads.c.head == report.payload)
        if db.execute(same_head).first() is None and db.execute(misfits).scalar_one() < MOST_MISFITS:
            db.execute(insert(heads).values(**row))
        _alert(db, code, head, newest.size, rfc3339(report.received_ns))
    elif (head.size, head.at) > (newest.size, newest.at):
        db.execute(update(heads).where(heads.c.id == newest.id).values(**row))


def _alert(db: Connection, code: str, head: Head, known_size: int, alerted_at: str) -> None:
    """Raises an alert that only a person ends, since a signed contradiction persists."""
    of_log = (alerts.c.unit == head.unit, alerts.c.origin == head.origin, alerts.c.code == code)
    if db.execute(select(alerts.c.id).where(*of_log, alerts.c.ended_at.is_(None))).first() is not None:
        return
    if code == BEGUN:
        log.error("%s: %s: another log than the one that is known, %d leaves", code, head.unit, head.size)
    else:
        log.error("%s: %s: a head over %d leaves does not fit that over %d", code, head.unit, head.size, known_size)
    db.execute(insert(alerts).values(
        unit=head.unit, origin=head.origin, code=code, first=head.size, last=known_size, since=head.at,
        alerted_at=alerted_at,
    ))  # fmt: skip
