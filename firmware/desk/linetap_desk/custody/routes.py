# SPDX-License-Identifier: Apache-2.0
"""Wiring: what is served, and what stands before each."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from linetap_desk.custody import handlers
from linetap_desk.custody.site import COOKIE, OwnAddress, Site
from linetap_desk.serve import secure
from linetap_desk.serve.limits import Bounded

Handler = Callable[[Request, Site], Awaitable[Response]]


def make(site: Site) -> Starlette:
    room = site.door.room
    inside: tuple[tuple[str, str, Handler], ...] = (
        ("/", "GET", handlers.overview),
        ("/call/{call_id}", "GET", handlers.call),
        ("/call/{call_id}/listen", "POST", handlers.listen),
        ("/call/{call_id}/give", "POST", handlers.give),
        ("/call/{call_id}/hand-on", "POST", handlers.hand_on),
        ("/call/{call_id}/sound.json", "GET", handlers.shape),
        ("/call/{call_id}/sound", "GET", handlers.play),
        ("/bundle", "POST", handlers.bundle),
        ("/close", "POST", handlers.close),
        ("/end", "POST", handlers.end),
        ("/look", "POST", handlers.look),
        ("/alive", "GET", handlers.alive),
    )
    return Starlette(
        routes=[
            Route("/", _guarded(handlers.door, site), methods=["GET", "POST"]),
            Route("/static/{name}", handlers.static, methods=["GET"]),
            *(
                Route(room + path, _guarded(_inside(handler), site), methods=[method])
                for path, method, handler in inside
            ),
        ],
        middleware=[
            Middleware(secure.Headers),
            Middleware(OwnAddress, host=site.url.removeprefix("http://")),
            Middleware(Bounded),
        ],
    )


def _inside(handler: Handler) -> Handler:
    """`handler` for whoever has come in, and a form of our own page."""

    async def answer(request: Request, site: Site) -> Response:
        token = request.cookies.get(COOKIE, "")
        if not site.door.knows(token):
            raise HTTPException(403)
        request.state.csrf = secure.token_of(token)
        if request.method == "POST":
            form = await request.form()
            own = secure.is_own_origin(request.headers, site.url) and secure.is_token(form.get(secure.FIELD), token)
            if not own or not secure.is_text(form):
                raise HTTPException(400)
        if handler is not handlers.alive:  # which a page asks by itself
            site.touch()
        return await handler(request, site)

    return answer


def _guarded(handler: Handler, site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        """A traceback could have a number in it: kind and place are enough."""
        try:
            return await handler(request, site)
        except HTTPException:
            raise
        except ClientDisconnect:  # in the middle of a form
            raise HTTPException(400) from None
        except Exception as error:  # noqa: BLE001 - whatever it is
            place = traceback.extract_tb(error.__traceback__)[-1]
            sys.stderr.write(f"page_fault: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}\n")
            raise HTTPException(500) from None

    return guarded
