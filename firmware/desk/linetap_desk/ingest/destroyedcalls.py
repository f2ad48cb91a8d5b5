# SPDX-License-Identifier: Apache-2.0
"""Clears the data of destroyed calls. Only unit, call, line, disposition and the destruction remain, and daily counts
of each kind.

Cleared events keep their numbers and hashes, so that the chain of all others can still be followed: the `prev` of an
existing event proves the hash of a cleared one. The signed `destroyed` event stays as received.

Nothing is cleared while a copy is in the store: a compromised unit could report `destroyed` at any time.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, Table, delete, insert, or_, select, tuple_, update

from linetap_core import zones
from linetap_core.clock import NS_PER_DAY, NS_PER_S, Clock, parse_rfc3339, rfc3339
from linetap_core.zones import KOREA, local_time
from linetap_desk.ingest.measures import LINE, MEASURES, SITUATION
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.ingest.tables import (
    CALL_FIGURES,
    DESTROYED_FIGURES,
    calls,
    cleared_days,
    copies,
    destroyed_days,
    events,
    from_record,
)

CLEARED = "cleared"  # replaces an event's kind
EVERY_S = 60
MOST_CALLS = 200  # calls for each transaction
WITHIN_NS = NS_PER_DAY  # a call is destroyed within this time after its end of retention

log = logging.getLogger("linetap.ingest")


class Clearing:
    def __init__(self, engine: Engine, clock: Clock, share: Share = ALL_UNITS, zone: str = KOREA) -> None:
        self._engine, self._clock, self._share = engine, clock, share
        self._zone = zones.zone_of(zone)
        self._due_ns = 0

    def clear_due(self) -> None:
        """Clears the destroyed calls that are due. SQLAlchemyError: the database is unavailable."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        with self._engine.begin() as db:
            count = clear_destroyed(db, self._share, self._zone)
        self._due_ns = now_ns + (0 if count == MOST_CALLS else EVERY_S * NS_PER_S)


def clear_destroyed(db: Connection, share: Share = ALL_UNITS, zone: ZoneInfo | None = None, counts: bool = True) -> int:
    """Clears destroyed calls; returns their number. `zone` None: Korea's. `counts`: False if they are counted
    already."""
    copy_of_call = (copies.c.unit == calls.c.unit, copies.c.call_id == calls.c.call_id)
    copy_exists = select(copies.c.unit).where(*copy_of_call, copies.c.removed_at.is_(None))
    until = select(copies.c.until).where(*copy_of_call).scalar_subquery().label("until")
    has_data = or_(calls.c.why.is_not(None), calls.c.sealed_at.is_not(None), calls.c.ended_at.is_not(None))
    uncleared = select(calls.c.unit, calls.c.call_id, calls.c.line, calls.c.began_at, calls.c.destroyed_at, until)
    uncleared = uncleared.where(
        share.condition(calls.c.unit), calls.c.destroyed_at.is_not(None), has_data, ~copy_exists.exists()
    )
    rows = db.execute(uncleared.limit(MOST_CALLS)).all()
    if counts:
        _count(db, rows, zones.zone_of(KOREA) if zone is None else zone)
    for row in rows:
        clear_events(db, row.unit, row.call_id, row.destroyed_at)
        db.execute(update(calls).where(calls.c.unit == row.unit, calls.c.call_id == row.call_id).values(
            direction=None, answered_at=None, ended_at=None, sealed_at=None, held_at=None, copied_at=None,
            duration_s=None, notice=None, mark=None, gaps_ms=None, why=None, situation=None, seen_by=None, proof=None,
            steps=None,
        ))  # fmt: skip
    if rows:
        log.info("cleared: the index of %d calls that are destroyed", len(rows))
    return len(rows)


def clear_events(db: Connection, unit: str, call_id: str, ended_at: str) -> None:
    """Clears the events of a call. `ended_at`: the call's end, which replaces all of their times."""
    of_call = (events.c.unit == unit, events.c.call_id == call_id, events.c.event.not_in(("destroyed", CLEARED)))
    db.execute(
        update(events)
        .where(*of_call)
        .values(event=CLEARED, payload=b"", sig="", at=ended_at, received_at=ended_at, late=False)
    )
    db.execute(delete(from_record).where(from_record.c.unit == unit, from_record.c.call_id == call_id))


# --- figures ----------------------------------------------------------------------------------------------------------


def _count(db: Connection, rows: Sequence[Any], zone: ZoneInfo) -> None:
    calls_by_day: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        try:
            began_on, destroyed_on = _day(row.began_at, zone), _day(row.destroyed_at, zone)
            kind = _timeliness(row.destroyed_at, row.until)
        except (ValueError, ArithmeticError) as error:  # its data is cleared all the same
            log.warning("not_counted: %s: %s: %s", row.unit, row.call_id, error)
            continue
        calls_by_day[began_on].append((row.unit, row.call_id))
        ends = dict.fromkeys(DESTROYED_FIGURES, 0) | {"destroyed": 1, kind: 1}
        _add(db, destroyed_days, _place(row, destroyed_on), ends)
    figures = select(calls.c.unit, LINE.label("line"), SITUATION.label("situation"), *MEASURES)
    for day, names in calls_by_day.items():
        figures_of_calls = figures.where(tuple_(calls.c.unit, calls.c.call_id).in_(names))
        for row in db.execute(figures_of_calls.group_by(calls.c.unit, LINE, SITUATION)).all():
            place = _place(row, day) | {"situation": row.situation}
            _add(db, cleared_days, place, {name: getattr(row, name) for name in CALL_FIGURES})


def _day(moment: str, zone: ZoneInfo) -> str:
    return local_time(parse_rfc3339(moment), zone).date().isoformat()


def _place(row: Any, day: str) -> dict[str, Any]:
    return {"day": day, "unit": row.unit, "line": row.line or 0}


def _timeliness(destroyed_at: str, until: str | None) -> str:
    """`undated`, `early`, `late`, or `destroyed` if in time."""
    if until is None:
        return "undated"
    if destroyed_at < until:
        return "early"
    return "late" if destroyed_at > rfc3339(parse_rfc3339(until) + WITHIN_NS) else "destroyed"


def _add(db: Connection, table: Table, place: Mapping[str, Any], figures: Mapping[str, int]) -> None:
    mine = [table.c[name] == value for name, value in place.items()]
    known = db.execute(select(*(table.c[name] for name in figures)).where(*mine)).mappings().first()
    if known is None:
        db.execute(insert(table).values(**place, **figures))
    else:
        db.execute(update(table).where(*mine).values({name: known[name] + n for name, n in figures.items()}))
