# SPDX-License-Identifier: Apache-2.0
"""The input of every handler, also of JSON requests, and its access to the ingest's database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core import jsontext
from linetap_core.clock import Clock
from linetap_core.errors import BadInput
from linetap_desk.config.pages import Settings
from linetap_desk.ingest.database import reason
from linetap_desk.serve.database.accesslog import AccessTable, Subject
from linetap_desk.serve.live.hub import Hub
from linetap_desk.serve.live.tiles import Tiles
from linetap_desk.serve.people.oidc import Oidc
from linetap_desk.serve.people.passkeys import Ceremonies
from linetap_desk.serve.people.sessions import OpenSessions, SessionUser
from linetap_desk.web import secure
from linetap_desk.web.pages import Pages
from linetap_desk.web.roles import EVERYBODY, ROLES, SIGNED_IN


@dataclass(slots=True)
class Figures:
    """Counters that figures.py serves. `port`: the port of the metrics, once they are served."""

    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # template, method, status
    port: int | None = None


@dataclass(slots=True)
class Site:
    """The state of the pages. `ingest_db`: the ingest's database, read only; None if not configured. `own`: people,
    access log."""

    settings: Settings
    clock: Clock
    own: Engine
    ingest_db: Engine | None
    sessions: OpenSessions
    access: AccessTable
    pages: Pages
    fleet: Hub
    oidc: Oidc | None = None
    calls: Any = None
    adoption: Any = None  # exchanges with new units
    finding: Any = None  # permissions to search by number
    protection: Any = None  # the last reports on protection
    figures: Figures = field(default_factory=Figures)
    ceremonies: Ceremonies = field(default_factory=Ceremonies)
    tiles: Tiles = field(default_factory=Tiles)
    draft_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def draft_key(self, who: SessionUser | None) -> str:
        """Base64 of the AES key with which a page stores typed text in its tab (static/draft.js). It is the same for
        all sessions of a person in this process, and differs between persons. A locked session gets none."""
        if who is None or who.locked:
            return ""
        made = hmac.new(self.draft_secret, b"linetap draft " + who.name.encode(), hashlib.sha256)
        return base64.b64encode(secure.masked(made.digest())).decode("ascii")


log = logging.getLogger("linetap.serve")


async def read_ingest[T](site: Site, read: Callable[[Connection], T]) -> T:
    """Runs `read` on the ingest's database, off the event loop. 503 if the database cannot be read."""
    if site.ingest_db is None:
        raise HTTPException(503, "desk_database_none")
    try:
        return await _read(site.ingest_db, read)
    except SQLAlchemyError as error:
        log.error("desk_database_away: %s", reason(error))
        raise HTTPException(503, "desk_database_away") from None


async def read_own[T](site: Site, read: Callable[[Connection], T]) -> T:
    """Runs `read` on the pages' own database. SQLAlchemyError if it cannot be read; the gate answers that with 503."""
    return await _read(site.own, read)


async def _read[T](engine: Engine, read: Callable[[Connection], T]) -> T:
    def within() -> T:
        with engine.connect() as db:
            return read(db)

    return await anyio.to_thread.run_sync(within)


_METHODS = frozenset({"GET", "POST"})


Handler = Callable[[Request, Site], Awaitable[Response]]
SubjectOf = Callable[[Request], Awaitable[Subject]]


async def subject_of_path(request: Request) -> Subject:
    """The subject with the call or unit that the path names."""
    values = request.path_params
    call = values.get("call_id")
    return Subject(calls=(str(call),) if call else (), terms=str(values.get("unit", "")))


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table of pages. `act`: the verb logged before the handler runs; None: the page shows no personal
    data.

    `takes`: parameters of the URL, or fields of a POST's form. `answers`: the handler's own statuses, in addition to
    the gate's; tools/desk_openapi.py documents both, and a test compares them with the server.

    `menu`: the msgid of its menu entry for those with access. `background`: requested by a page without a person's
    action, such as a stream; it does not postpone the lock.
    """

    path: str
    methods: tuple[str, ...]
    roles: frozenset[str]
    act: str | None
    handler: Handler
    subject: SubjectOf = subject_of_path
    menu: str | None = None
    background: bool = False
    takes: tuple[str, ...] = ()
    answers: tuple[int, ...] = (200,)

    def __post_init__(self) -> None:
        """BadInput for an incomplete row: a missing role must not give everyone access."""
        if not self.roles:
            raise BadInput(f"route {self.path}: it names no role")
        if strange := self.roles - SIGNED_IN - EVERYBODY:
            raise BadInput(f"route {self.path}: {', '.join(sorted(strange))}: known here: {', '.join(ROLES)}")
        if not self.methods or not set(self.methods) <= _METHODS:
            raise BadInput(f"route {self.path}: GET or POST expected")
        if "{call_id" in self.path and self.act is None:
            raise BadInput(f"route {self.path}: it names a call, so it needs an act for the access log")

    @property
    def public(self) -> bool:
        return self.roles == EVERYBODY


def join(tables: Iterable[tuple[Route, ...]]) -> tuple[Route, ...]:
    """The joined tables. BadInput if two rows have the same path and method."""
    routes = tuple(route for table in tables for route in table)
    seen: set[tuple[str, str]] = set()
    for route in routes:
        for method in route.methods:
            if (route.path, method) in seen:
                raise BadInput(f"route {method} {route.path}: it is defined twice")
            seen.add((route.path, method))
    return routes


async def json_body[T](request: Request, kind: type[T], most_bytes: int) -> T:
    """The request's body. HTTPException 413 if it is too long, 400 if it is malformed."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > most_bytes:
            raise HTTPException(413)
    try:
        return jsontext.decode(data, type=kind)
    except ValueError:
        raise HTTPException(400) from None
