# SPDX-License-Identifier: Apache-2.0
"""All that the desk knows about one call: its row, its signed events, its second copy, the head of its unit's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_desk.ingest import callrow, chain, judge
from linetap_desk.ingest.callrow import HOLD_ENDED
from linetap_desk.ingest.clear import CLEARED
from linetap_desk.ingest.heads import CODES
from linetap_desk.ingest.judge import EventFields, Report
from linetap_desk.ingest.tables import alerts, calls, copies, events, heads

MOST_EVENTS = 200  # a call has about eight


@dataclass(frozen=True, slots=True)
class Event:
    """`check`: "good", "cleared" (the call is destroyed), "unasked" (no signers' file is configured), or the code of
    the fault. `told` None: cleared, or of a later version."""

    event: str
    seq: int
    origin: str
    at: str
    received_at: str
    late: bool
    check: str
    told: EventFields | None


@dataclass(frozen=True, slots=True)
class Head:
    """A head of the log of the key that reported the call; `behind`: it was signed before the call was sealed.
    `misfits`: codes of alerts against that log."""

    size: int
    root: str
    at: str
    behind: bool
    misfits: list[str]


@dataclass(frozen=True, slots=True)
class Story:
    row: Mapping[str, Any]
    events: list[Event]
    more: bool
    copy: Mapping[str, Any] | None
    amended: Amendment | None  # the unit's later correction of the record's times and end
    head: Head | None

    @property
    def is_copied(self) -> bool:
        return self.copy is not None and self.copy["removed_at"] is None

    @property
    def held(self) -> bool | None:
        """Whether it is held, by the unit's latest report; None: no hold was reported."""
        said = [one.told for one in self.events if one.event == "held" and one.told is not None]
        return said[-1].why != HOLD_ENDED if said else None


def read_story(db: Connection, unit: str, call_id: str, signers: list[Signer] | None) -> Story | None:
    """None if there is no such call. `signers` None: signatures are not checked."""
    row = db.execute(select(calls).where(calls.c.unit == unit, calls.c.call_id == call_id)).mappings().first()
    if row is None:
        return None
    wanted = select(events).where(events.c.unit == unit, events.c.call_id == call_id)
    found = _ordered(db.execute(wanted.order_by(events.c.origin, events.c.seq).limit(MOST_EVENTS + 1)).all())
    lying = db.execute(select(copies).where(copies.c.unit == unit, copies.c.call_id == call_id)).mappings().first()
    origin = chain.origin_of(found[-1].origin) if found else ""
    later = callrow.last_amendment(db, unit, call_id)
    return Story(
        row=dict(row),
        events=[_event(one, signers) for one in found[:MOST_EVENTS]],
        more=len(found) > MOST_EVENTS,
        copy=None if lying is None else dict(lying),
        amended=None if later is None or callrow.amendment_is_of_other(db, later) else later,
        head=_head(db, unit, origin, row["sealed_at"] or row["began_at"]),
    )


def _ordered(found: Sequence[Any]) -> list[Any]:
    """In the order of callrow.py: a key's events by their numbers, keys by their first event."""
    first: dict[str, str] = {}
    for row in found:
        first[row.origin] = min(row.at, first.get(row.origin, row.at))
    return sorted(found, key=lambda row: (first[row.origin], row.origin, row.seq))


def _event(row: Any, signers: list[Signer] | None) -> Event:
    told, check = None, "cleared"
    if row.event != CLEARED:
        told, check = judge.event_fields(row.payload), "unasked"
    if told is not None and signers is not None:
        report = Report(row.unit, row.payload, unarmored(row.sig), parse_rfc3339(row.received_at))
        verdict = judge.judge_event(report, signers)
        check = "good" if isinstance(verdict, judge.Event) else verdict.code
    return Event(row.event, row.seq, row.origin, row.at, row.received_at, row.late, check, told)


def _head(db: Connection, unit: str, origin: str, sealed_at: str) -> Head | None:
    mine = (heads.c.unit == unit, heads.c.origin == origin)
    newest = select(heads.c.size, heads.c.root, heads.c.at).where(*mine, heads.c.code == "").order_by(heads.c.id.desc())
    found = db.execute(newest.limit(1)).first()
    if found is None:
        return None
    against = select(alerts.c.code).where(alerts.c.unit == unit, alerts.c.origin == origin, alerts.c.code.in_(CODES),
                                          alerts.c.ended_at.is_(None))  # fmt: skip
    misfits = sorted(set(db.execute(against).scalars()))
    return Head(found.size, found.root, found.at, found.at < sealed_at, misfits)
