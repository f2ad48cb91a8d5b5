# SPDX-License-Identifier: Apache-2.0
"""Wiring only: joins the route tables, puts the gate before each, and adds the middleware."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Way

from linetap_desk.serve import figures, keeping
from linetap_desk.serve.adoption import machine
from linetap_desk.serve.adoption import routes as adoption
from linetap_desk.serve.adoption.runs import Runs
from linetap_desk.serve.calls import routes as calls
from linetap_desk.serve.fleet import routes as fleet
from linetap_desk.serve.handling import gate, home
from linetap_desk.serve.handling.gate import endpoint
from linetap_desk.serve.handling.site import Route, Site, join
from linetap_desk.serve.holds import routes as holdroutes
from linetap_desk.serve.login import routes as people
from linetap_desk.serve.release import routes as release
from linetap_desk.serve.review import routes as access
from linetap_desk.web.pages import MenuItem
from linetap_desk.web.secure import Headers
from linetap_desk.web.server import Bounded

# One line for each folder of pages.
ROUTES: tuple[Route, ...] = join(
    (
        home.ROUTES,
        people.ROUTES,
        access.ROUTES,
        calls.ROUTES,
        fleet.ROUTES,
        release.ROUTES,
        holdroutes.ROUTES,
        adoption.ROUTES,
    )
)
# Runs beside the pages from start to end; each puts its state into the site.
LIVES: tuple[Callable[[Site], AbstractAsyncContextManager[None]], ...] = (keeping.life, fleet.watched, figures.life)


def make(site: Site, routes: tuple[Route, ...] = ROUTES) -> Starlette:
    site.pages.menu = tuple(MenuItem(route.path, route.menu, route.roles) for route in routes if route.menu)
    site.calls = calls.Calls.of(site)
    site.adoption = Runs(site.clock)

    async def said(request: Request, error: Exception) -> Response:
        return gate.error_page(request, error, site)

    @contextlib.asynccontextmanager
    async def lives(_app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for life in LIVES:
                await stack.enter_async_context(life(site))
            yield

    return Starlette(
        routes=[
            *(Way(route.path, endpoint(route, site), methods=list(route.methods)) for route in routes),
            *machine.ways(site),
        ],
        middleware=[Middleware(Headers), Middleware(Bounded, larger=adoption.LARGER)],
        exception_handlers=dict.fromkeys(gate.TEXTS, said) | {Exception: said},
        lifespan=lives,
    )
