# SPDX-License-Identifier: Apache-2.0
"""Reads outages recorded by the ingest: since when a unit is away and its last message, for the page of all units; and
one unit's outages with their causes, for its own page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import NS_PER_S, Clock, parse_rfc3339
from linetap_core.wire.legend import CONDITIONS
from linetap_desk.ingest.database import reason
from linetap_desk.ingest.outages import BEGINNING
from linetap_desk.ingest.tables import outages, units
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.live.journal import Absences
from linetap_desk.watch.units import Standing
from linetap_desk.web.text import N_, Language

LOOK_EVERY_S = 5
MOST_SHOWN = 50
MOST_AWAY = 3000
STANDING_OF: dict[str, Standing] = {"offline": "offline", "unheard": "late"}
KINDS = {
    "offline": N_("No connection"),
    "unheard": N_("Connected, no reports"),
    "not_recording": N_("Did not record"),
    "desk": N_("The desk itself received nothing"),
}

log = logging.getLogger("linetap.serve")


def absences(db: Connection) -> Absences:
    wanted = (
        select(outages.c.unit, outages.c.kind, outages.c.began_at, units.c.heard_at)
        .join(units, units.c.unit == outages.c.unit)
        .where(outages.c.ended_at.is_(None), outages.c.kind.in_(STANDING_OF))
        .limit(MOST_AWAY)
    )
    rows = db.execute(wanted).all()
    began: dict[tuple[str, Standing], str] = {(row.unit, STANDING_OF[row.kind]): row.began_at for row in rows}
    return Absences(began, {row.unit: row.heard_at for row in rows if row.heard_at is not None})


@contextlib.asynccontextmanager
async def lifespan(site: Site) -> AsyncIterator[None]:
    """Queries the ingest's database separately from the watcher, which must not wait for it."""
    if site.ingest_db is None:
        yield
        return
    ending = asyncio.Event()
    task = asyncio.create_task(_refresh_absences(site, ending))
    try:
        yield
    finally:
        ending.set()
        await task  # not cancelled: a query's thread would continue, with its connection open


async def _refresh_absences(site: Site, ending: asyncio.Event) -> None:
    known, is_away = Absences(), False
    while not ending.is_set():
        try:
            found = await anyio.to_thread.run_sync(_absences, site)
            if found != known:
                known = found
                site.fleet.set_absences(found)
            is_away = False
        except SQLAlchemyError as error:
            if not is_away:
                log.error("desk_database_away: %s; since when units are away is not shown", reason(error))
            is_away = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), LOOK_EVERY_S)


def _absences(site: Site) -> Absences:
    assert site.ingest_db is not None
    with site.ingest_db.connect() as db:
        return absences(db)


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage. `ended` None: it continues. `why`: the condition that the LEDs of a unit that did not record
    showed."""

    kind: str
    why: str
    began: str
    ended: str | None
    s: int
    times: int


# A bound parameter: SQLAlchemy caches a statement's first values, and a unit's name may be typed.
_OF_UNIT = (outages.c.unit == bindparam("of")) & (outages.c.began_at != BEGINNING) & outages.c.kind.in_(KINDS)
_HISTORY = select(outages).where(_OF_UNIT).order_by(outages.c.began_at.desc()).limit(MOST_SHOWN)


def history(db: Connection, unit: str, clock: Clock) -> list[Outage]:
    """The unit's outages, newest first."""
    rows = db.execute(_HISTORY, {"of": unit}).all()
    return [
        Outage(row.kind, row.why, row.began_at, row.ended_at, _length_s(row.began_at, row.ended_at, clock), row.times)
        for row in rows
    ]  # fmt: skip


def why_of(found: Sequence[Outage], language: Language) -> dict[str, str]:
    """The words of their conditions; an unknown condition is shown as it is."""
    return {one.why: getattr(CONDITIONS[one.why], language) if one.why in CONDITIONS else one.why for one in found}


def _length_s(began: str, ended: str | None, clock: Clock) -> int:
    until_ns = clock.utc_ns() if ended is None else parse_rfc3339(ended)
    return max(0, (until_ns - parse_rfc3339(began)) // NS_PER_S)
