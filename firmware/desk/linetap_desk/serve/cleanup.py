# SPDX-License-Identifier: Apache-2.0
"""Deletes data at the end of its period: partials of expired requests, citizens' data half a year after the end, access
log rows older than two years, and reviews of ended calls. A signed anchor of the last removed row is kept.

A clock that is years ahead must not empty the log: a pass removes at most a week of rows, and there is one pass a day
by the same clock. With a correct clock a pass removes one day.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import anyio.to_thread
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import NS_PER_DAY, parse_rfc3339, rfc3339
from linetap_desk.ingest.database import reason
from linetap_desk.serve.citizen import store as citizens
from linetap_desk.serve.database import accesslog
from linetap_desk.serve.database.accesslog import AccessTable, ChainFault, Head, last_head
from linetap_desk.serve.database.tables import access, access_anchor
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.ended import reviews
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.release import store

LOOK_EVERY_S = 3600
_MOST_DAYS = 7

log = logging.getLogger("linetap.serve")


@contextlib.asynccontextmanager
async def lifespan(site: Site) -> AsyncIterator[None]:
    ending = asyncio.Event()

    steps: tuple[Callable[[], object], ...] = (
        lambda: store.empty_expired_partials(site.own, site.clock.utc_ns()),
        lambda: citizens.clear_ended(site.own, site.clock.utc_ns()),
        lambda: prune(site.access, site.settings.access_days),
        lambda: reviews.prune(site.own),
    )

    async def keep() -> None:
        while not ending.is_set():
            for step in steps:  # each step runs even if another failed: undeleted data is kept too long
                try:
                    await anyio.to_thread.run_sync(step)
                except (SQLAlchemyError, ChainFault) as error:
                    text = reason(error) if isinstance(error, SQLAlchemyError) else str(error)
                    log.error("access_log_kept: %s; nothing is removed", text)
                except Exception as error:  # noqa: BLE001 - without this task nothing is deleted until the next start
                    log.error("access_log_kept: %s; nothing is removed", type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), LOOK_EVERY_S)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        ending.set()
        await task  # not cancelled: a query's thread would continue, with its connection open


def prune(table: AccessTable, days: int) -> int:
    """Removes old rows of the access log; returns their number."""
    now_ns = table.clock.utc_ns()
    with writing(table.engine) as db:
        last_head(db, table.key.public_key())  # locks the log, and verifies its end
        found = db.execute(select(access_anchor)).one_or_none()
        anchor = None
        if found is not None:
            anchor = accesslog.own_head(found.head, found.sig, "anchor", table.key.public_key())
        oldest = db.execute(select(access.c.at).order_by(access.c.seq).limit(1)).scalar()
        # A pass or a row dated by a clock that was ahead must not keep the log until that date.
        if oldest is None or (anchor is not None and now_ns - NS_PER_DAY < parse_rfc3339(anchor.at) <= now_ns):
            return 0
        until = rfc3339(min(now_ns - days * NS_PER_DAY, parse_rfc3339(oldest) + _MOST_DAYS * NS_PER_DAY))
        dated = access.c.at.between(until, rfc3339(now_ns))
        first_kept = db.execute(select(func.min(access.c.seq)).where(dated)).scalar()
        last = db.execute(
            select(access.c.seq, access.c.hash)
            .where(access.c.seq < first_kept if first_kept is not None else access.c.at < until)
            .order_by(access.c.seq.desc())
            .limit(1)
        ).one_or_none()
        if last is None:
            return 0
        gone = db.execute(delete(access).where(access.c.seq <= last.seq)).rowcount
        db.execute(delete(access_anchor))
        new = Head("anchor", last.seq, last.hash, rfc3339(now_ns))
        db.execute(insert(access_anchor).values(id=1, **accesslog.signed_head(new, table.key)))
    return gone
