# SPDX-License-Identifier: Apache-2.0
"""Clears the data of destroyed calls: only unit, call, line, disposition and the destruction remain.

Cleared events keep their numbers and hashes, so that the chain of all others can still be followed: the `prev` of an
existing event proves the hash of a cleared one. The signed `destroyed` stays as received.

Nothing is cleared while a copy is in the store: a compromised unit could report `destroyed` at any time.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, Engine, delete, or_, select, update

from linetap_core.clock import NS_PER_S, Clock
from linetap_desk.ingest.share import WHOLE, Share
from linetap_desk.ingest.tables import calls, copies, events, from_record

CLEARED = "cleared"  # replaces an event's kind
EVERY_S = 60
MOST = 200  # calls for each transaction

log = logging.getLogger("linetap.ingest")


class Clearing:
    def __init__(self, engine: Engine, clock: Clock, share: Share = WHOLE) -> None:
        self._engine, self._clock, self._share = engine, clock, share
        self._due_ns = 0

    def clear_due(self) -> None:
        """SQLAlchemyError: the database is away."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        with self._engine.begin() as db:
            count = clear_destroyed(db, self._share)
        self._due_ns = now_ns + (0 if count == MOST else EVERY_S * NS_PER_S)


def clear_destroyed(db: Connection, share: Share = WHOLE) -> int:
    """Returns the number of cleared calls."""
    here = select(copies.c.unit).where(
        copies.c.unit == calls.c.unit, copies.c.call_id == calls.c.call_id, copies.c.removed_at.is_(None)
    )
    left = or_(calls.c.why.is_not(None), calls.c.sealed_at.is_not(None), calls.c.ended_at.is_not(None))
    wanted = select(calls.c.unit, calls.c.call_id, calls.c.destroyed_at).where(share.where(calls.c.unit))
    found = db.execute(wanted.where(calls.c.destroyed_at.is_not(None), left, ~here.exists()).limit(MOST)).all()
    for unit, call_id, at in found:
        clear_events(db, unit, call_id, at)
        db.execute(update(calls).where(calls.c.unit == unit, calls.c.call_id == call_id).values(
            direction=None, answered_at=None, ended_at=None, sealed_at=None, held_at=None, copied_at=None,
            duration_s=None, notice=None, mark=None, gaps_ms=None, why=None,
        ))  # fmt: skip
    if found:
        log.info("cleared: the index of %d calls that are destroyed", len(found))
    return len(found)


def clear_events(db: Connection, unit: str, call_id: str, at: str) -> None:
    """`at`: the call's end, which replaces every time in them."""
    mine = (events.c.unit == unit, events.c.call_id == call_id, events.c.event.not_in(("destroyed", CLEARED)))
    db.execute(
        update(events).where(*mine).values(event=CLEARED, payload=b"", sig="", at=at, received_at=at, late=False)
    )
    db.execute(delete(from_record).where(from_record.c.unit == unit, from_record.c.call_id == call_id))
