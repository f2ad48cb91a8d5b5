# SPDX-License-Identifier: Apache-2.0
"""Runs `linetap desk serve`: listens, prints its URL, and ends at SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import resource
import socket
import sys
from asyncio import sslproto
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import anyio.to_thread
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from linetap_core.clock import Clock
from linetap_core.durable.signedfile import load_key
from linetap_core.errors import BadInput
from linetap_core.service import credential, start_logging
from linetap_core.timekeeping import KEPT, require_possible
from linetap_desk.config.pages import Settings
from linetap_desk.ingest.database import open_reader
from linetap_desk.serve import cleanup, figures, home, opendatabase, unitcommands
from linetap_desk.serve.adoption import api as adoptionapi
from linetap_desk.serve.adoption import routes as adoption
from linetap_desk.serve.adoption.exchanges import Runs
from linetap_desk.serve.calls import routes as calls
from linetap_desk.serve.citizen import routes as citizen
from linetap_desk.serve.database.accesslog import AccessTable
from linetap_desk.serve.ended import endingcalls
from linetap_desk.serve.ended import routes as ended
from linetap_desk.serve.finding import api as findingapi
from linetap_desk.serve.finding import routes as finding
from linetap_desk.serve.finding.grants import Grants
from linetap_desk.serve.fleet import outages, shiftlog, walks
from linetap_desk.serve.fleet import routes as fleet
from linetap_desk.serve.handling import assets, gate
from linetap_desk.serve.handling.gate import endpoint
from linetap_desk.serve.handling.site import Route, Site, join
from linetap_desk.serve.holds import routes as holdroutes
from linetap_desk.serve.live.hub import Hub
from linetap_desk.serve.login import lostpasskey, secondfactor
from linetap_desk.serve.login import routes as people
from linetap_desk.serve.orders import routes as orders
from linetap_desk.serve.overflow import routes as overflow
from linetap_desk.serve.people.oidc import Oidc
from linetap_desk.serve.people.sessions import OpenSessions
from linetap_desk.serve.protection import accusation, coverage
from linetap_desk.serve.protection import routes as protection
from linetap_desk.serve.release import routes as release
from linetap_desk.serve.review import routes as access
from linetap_desk.watch.watcher import pages_settings
from linetap_desk.web.compressed import Compressed
from linetap_desk.web.pages import MenuItem, Pages
from linetap_desk.web.secure import Headers
from linetap_desk.web.server import BoundedBodies, EndsQuietly, config, serve_until_signal

MOST_AT_ONCE = 500  # connections; streams are open for hours, and the limit is 1,024 files
KEEP_ALIVE_S = 30
END_WITHIN_S = 3  # connections open after that are cut off
BACKLOG = 256
_TLS_READ_BYTES = 1 << 12
THREADS = 8  # threads that read databases and render pages
_M_ARENA_MAX, _ARENAS = -8, 2  # mallopt(3)
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 1 << 20


def run(settings: Settings, clock: Clock = KEPT) -> int:
    require_possible(clock)  # the clock ends requests and sessions
    _bound_arenas()
    _bound_buffers()
    # no core dump: the memory contains typed text, which must not be written to a disk
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.getLogger("uvicorn.error").parent = start_logging("serve")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    opendatabase.migrate_apart(settings.db)
    with listening(settings) as (at, settings), opened(settings, clock) as site:
        sys.stderr.write(f"{settings.url}\n")
        sys.stderr.flush()
        asyncio.run(serve_until_signal(server(site), at))
    return 0


def _bound_buffers() -> None:
    """Limits asyncio's read buffer of each TLS connection: by default 256 KiB, with 200 open pages 50 MB."""
    sslproto.SSLProtocol.max_size = _TLS_READ_BYTES


def _bound_arenas() -> None:
    """Limits glibc to _ARENAS arenas: by default eight a core, and each keeps its peak; forty threads that render pages
    kept 50 MB (docs/desk-load.md). Returns the memory of a password's hash to the system at once; by default glibc
    keeps it. Other C libraries have no such settings."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


class Server(EndsQuietly):
    """A server that ends the streams before it waits for connections."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._site.fleet.end_streams()
        await super().shutdown(sockets)


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[tuple[socket.socket, Settings]]:
    """The socket, and the settings with its port and URL."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # IPPROTO_TCP explicitly: only then asyncio sets TCP_NODELAY, and sends small blocks at once
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as at:
        at.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            at.bind((settings.host, settings.port))
        except OSError as error:
            raise BadInput(f"serve.listen {settings.host}:{settings.port}: {error.strerror}") from None
        at.listen(BACKLOG)
        port = at.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = settings.url or f"{'http' if settings.certificate is None else 'https'}://{host}:{port}"
        yield at, msgspec.structs.replace(settings, port=port, url=url)


@contextlib.contextmanager
def opened(settings: Settings, clock: Clock) -> Iterator[Site]:
    with contextlib.ExitStack() as held:
        own = opendatabase.open_own(settings.db)
        held.callback(own.dispose)
        ingest_db = None
        if settings.desk.db is not None:
            ingest_db = open_reader(settings.desk.db)
            held.callback(ingest_db.dispose)
        yield Site(
            settings=settings,
            clock=clock,
            own=own,
            ingest_db=ingest_db,
            sessions=OpenSessions(own, settings, clock),
            access=AccessTable(own, clock, load_key(credential(settings.log_key))),
            pages=Pages(settings.zone),
            fleet=Hub(pages_settings(settings.desk), clock),
            oidc=None if settings.oidc is None else Oidc(settings.oidc, clock, settings.url or ""),
        )


def server(site: Site) -> Server:
    settings = site.settings
    return Server(
        config(
            make(site),
            lifespan="on",
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=END_WITHIN_S,
            ssl_certfile=settings.certificate,
            ssl_keyfile=None if settings.key is None else str(settings.key),
        ),
        site,
    )


# --- Wiring only: joins the route tables, puts the gate before each, and adds the middleware --------------------------


# One line for each folder of pages.
ROUTES: tuple[Route, ...] = join(
    (
        assets.ROUTES,
        home.ROUTES,
        people.ROUTES,
        secondfactor.ROUTES,
        access.ROUTES,
        calls.ROUTES,
        finding.ROUTES,
        fleet.ROUTES,
        walks.ROUTES,
        shiftlog.ROUTES,
        release.ROUTES,
        holdroutes.ROUTES,
        citizen.ROUTES,
        ended.ROUTES,
        endingcalls.ROUTES,
        protection.ROUTES,
        coverage.ROUTES,
        accusation.ROUTES,
        overflow.ROUTES,
        unitcommands.ROUTES,
        orders.ROUTES,
        adoption.ROUTES,
        lostpasskey.ROUTES,
    )
)
COMPRESSED = ("/fleet", "/static/")
LARGER = adoption.LARGER | orders.LARGER | overflow.LARGER | unitcommands.LARGER  # path -> limit of a form with files
# Run beside the pages from start to end; each adds its state to the site.
LIFESPANS: tuple[Callable[[Site], AbstractAsyncContextManager[None]], ...] = (
    cleanup.lifespan,
    fleet.lifespan,
    outages.lifespan,
    shiftlog.lifespan,
    figures.lifespan,
)


def make(site: Site, routes: tuple[Route, ...] = ROUTES) -> Starlette:
    site.pages.menu = tuple(MenuItem(route.path, route.menu, route.roles) for route in routes if route.menu)
    site.calls = calls.Calls.of(site)
    site.adoption = Runs(site.clock)
    site.finding = Grants(site.clock)
    site.protection = protection.RecentReports()

    async def answer_error(request: Request, error: Exception) -> Response:
        return gate.error_page(request, error, site)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        # By default anyio has 40, each with the memory of the largest page that it has rendered.
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        async with contextlib.AsyncExitStack() as stack:
            for part in LIFESPANS:
                await stack.enter_async_context(part(site))
            yield

    return Starlette(
        routes=[
            *(StarletteRoute(route.path, endpoint(route, site), methods=list(route.methods)) for route in routes),
            *adoptionapi.api_routes(site),
            *findingapi.api_routes(site),
        ],
        middleware=[
            Middleware(Headers),
            Middleware(Compressed, paths=COMPRESSED),
            Middleware(BoundedBodies, larger=LARGER),
        ],
        exception_handlers=dict.fromkeys(gate.TEXTS, answer_error) | {Exception: answer_error},
        lifespan=lifespan,
    )
