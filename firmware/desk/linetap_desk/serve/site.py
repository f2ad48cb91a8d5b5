# SPDX-License-Identifier: Apache-2.0
"""What every handler gets, and how it reads the ingest's database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from linetap_core.clock import Clock
from linetap_desk.ingest.database import reason
from linetap_desk.serve.access.log import AccessTable
from linetap_desk.serve.fleet.hub import Hub
from linetap_desk.serve.pages import Pages
from linetap_desk.serve.people.oidc import Oidc
from linetap_desk.serve.people.sessions import OpenSessions
from linetap_desk.serve.settings import Settings


@dataclass(slots=True)
class Figures:
    """What figures.py serves of the pages' own work. `port`: where it is served, once it is."""

    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # template, method, status
    port: int | None = None


@dataclass(slots=True)
class Site:
    """`desk`: the ingest's database, to be read only; None where none is configured. `own`: people, access log."""

    settings: Settings
    clock: Clock
    own: Engine
    desk: Engine | None
    sessions: OpenSessions
    access: AccessTable
    pages: Pages
    fleet: Hub
    oidc: Oidc | None = None
    calls: Any = None
    figures: Figures = field(default_factory=Figures)


log = logging.getLogger("linetap.serve")


async def read_desk[T](site: Site, look: Callable[[Connection], T]) -> T:
    """Runs `look` on the ingest's database, off the event loop; 503 if it cannot be read."""
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
