# SPDX-License-Identifier: Apache-2.0
"""The ingest's database, which is only read here."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio.to_thread
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from linetap_desk.ingest.database import reason
from linetap_desk.serve.site import Site

log = logging.getLogger("linetap.serve")


async def reading[T](site: Site, look: Callable[[Connection], T]) -> T:
    """503 where it cannot be read."""
    if site.desk is None:
        raise HTTPException(503, "desk_database_none")
    engine = site.desk

    def within() -> T:
        with engine.connect() as db:
            return look(db)

    try:
        return await anyio.to_thread.run_sync(within)
    except SQLAlchemyError as error:
        log.error("desk_database_away: %s", reason(error))
        raise HTTPException(503, "desk_database_away") from None
