# SPDX-License-Identifier: Apache-2.0
"""Detects missing events, requests them within 5 s, alerts within 60 s, and reports their arrival.

An event is missing if a later one exists, or if the unit's health names it: when a broker loses the end of a queue, no
later event exists. While a long backlog arrives no event counts as missing: the time of a hole begins at its unit's
last progress.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, or_, select, update

from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.vaultformat import vaultname
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.ingest.tables import alerts, origins, units, vaults
from linetap_desk.ingest.vaults import LOST, Group, first_hole, is_of

LOOK_EVERY_S = 1
NOTICE_S = 3
ALERT_S = 50
ASK_AGAIN_S = 30  # doubled after each failure
ASK_LONGEST_S = 900
CODE = "events_missing"
MOST_UNITS = 1000  # units with holes handled at once

log = logging.getLogger("linetap.ingest")


@dataclass(frozen=True, slots=True)
class Missing:
    group: Group
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Lacking:
    """A group with missing events after `through`; `reported`: the newest one that the unit's health names."""

    group: Group
    through: int
    reported: int


@dataclass(slots=True)
class _Standing:
    through: int
    since_ns: int
    ask_ns: int
    pause_s: int = ASK_AGAIN_S
    noticed: bool = False
    alerted: bool = False


class Holes:
    def __init__(self, engine: Engine, clock: Clock, share: Share = ALL_UNITS) -> None:
        self._engine, self._clock, self._share = engine, clock, share
        self._standing: dict[Group, _Standing] = {}
        self._due_ns = 0

    def find(self) -> list[Missing]:
        """The events to request now. SQLAlchemyError: the database is unavailable."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + LOOK_EVERY_S * NS_PER_S
        with self._engine.begin() as db:
            return list(self._update_missing(db, now_ns))

    def _update_missing(self, db: Connection, now_ns: int) -> Iterator[Missing]:
        self._close(db)
        found = {one.group: one for one in _behind(db, self._share)}
        for group in self._standing.keys() - found.keys():
            if self._standing.pop(group).noticed:
                log.info("hole_closed: %s: nothing is missing", group[0])
        for group, lacking in found.items():
            hole = self._standing.get(group)
            if hole is None or hole.through != lacking.through:
                self._standing[group] = _Standing(lacking.through, now_ns, now_ns + NOTICE_S * NS_PER_S)
                continue
            if now_ns - hole.since_ns >= NOTICE_S * NS_PER_S:
                first, last = first_hole(db, group, lacking.through) or (lacking.through + 1, lacking.reported)
                yield from self._missed(db, Missing(group, first, last), hole, now_ns)

    def _missed(self, db: Connection, missing: Missing, hole: _Standing, now_ns: int) -> Iterator[Missing]:
        if not hole.noticed:
            log.warning("hole: %s: events %d to %d are missing", missing.group[0], missing.first, missing.last)
        hole.noticed = True
        if not hole.alerted and now_ns - hole.since_ns >= ALERT_S * NS_PER_S:
            hole.alerted = True
            self._alert(db, missing, now_ns - hole.since_ns)
        if now_ns >= hole.ask_ns:
            hole.ask_ns = now_ns + hole.pause_s * NS_PER_S
            hole.pause_s = min(2 * hole.pause_s, ASK_LONGEST_S)
            yield missing

    def _alert(self, db: Connection, missing: Missing, stands_ns: int) -> None:
        unit, origin = missing.group
        of_origin = (alerts.c.unit == unit, alerts.c.origin == origin, alerts.c.code == CODE)
        if db.execute(select(alerts.c.id).where(*of_origin, alerts.c.ended_at.is_(None))).first() is not None:
            return  # the alert was raised before a restart
        log.error("events_missing: %s: events %d to %d do not come", unit, missing.first, missing.last)
        utc_ns = self._clock.utc_ns()
        db.execute(insert(alerts).values(
            unit=unit, origin=origin, code=CODE, first=missing.first, last=missing.last,
            since=rfc3339(utc_ns - stands_ns), alerted_at=rfc3339(utc_ns),
        ))  # fmt: skip

    def _close(self, db: Connection) -> None:
        """Ends the alerts of events that arrived."""
        here = select(origins.c.through).where(origins.c.unit == alerts.c.unit, origins.c.origin == alerts.c.origin)
        over = (alerts.c.code.in_((CODE, LOST)), alerts.c.ended_at.is_(None), alerts.c.last <= here.scalar_subquery())
        db.execute(
            update(alerts)
            .where(*over, self._share.condition(alerts.c.unit))
            .values(ended_at=rfc3339(self._clock.utc_ns()))
        )


def _behind(db: Connection, share: Share) -> Iterator[_Lacking]:
    """The groups with missing events. Health refers to the unit's present chain; each chain has its own range. A
    replaced vault does not report any more; of a chain without events (`linetap desk rebuild`) all are requested."""
    newer = origins.alias()
    used_now = ~select(newer.c.unit).where(
        newer.c.unit == origins.c.unit, newer.c.heard_at > origins.c.heard_at
    ).exists()  # fmt: skip
    reported = (units.c.outbox_seq > origins.c.through) & used_now
    gone = select(vaults.c.unit).where(
        vaults.c.unit == origins.c.unit, vaults.c.origin == origins.c.origin, vaults.c.over_at.is_not(None)
    )
    wanted = select(origins.c.unit, origins.c.origin, origins.c.through, origins.c.newest, units.c.outbox_seq)
    wanted = wanted.join(units, units.c.unit == origins.c.unit).where(share.condition(units.c.unit))
    wanted = wanted.where(or_(~gone.exists(), origins.c.newest == 0))
    wanted = wanted.where(or_(origins.c.newest > origins.c.through, reported)).limit(MOST_UNITS)
    for unit, origin, through, newest, seq in db.execute(wanted):
        if newest > through or is_of(origin, seq or 0):
            yield _Lacking((unit, origin), through, seq or 0)
        elif not newest:
            yield _Lacking((unit, origin), vaultname.range_of(seq), seq)
