# SPDX-License-Identifier: Apache-2.0
"""How long the session of an open page goes on, and a person who goes on with it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.people.sessions import idle_of, who_of
from linetap_desk.web.pages import SIGNED_IN

WARN_S = 120  # before a session locks or ends, and no longer than a third of the time until it locks


async def alive(request: Request, site: Site) -> Response:
    """Polled by open pages, so that none outlives its session, and each shows in time when it will be over."""
    who = who_of(request)
    warn_s = min(WARN_S, idle_of(site.settings, who.roles) // 3)
    return JSONResponse({"locks_s": who.locks_s, "ends_s": who.ends_s, "warn_s": warn_s})


async def stay(_request: Request, _site: Site) -> Response:
    """A person types, or has answered the warning: that is use of the session like any other page."""
    return Response(status_code=204)


ROUTES: tuple[Route, ...] = (
    Route("/alive", ("GET",), SIGNED_IN, None, alive, background=True),
    Route("/stay", ("POST",), SIGNED_IN, None, stay, answers=(204,)),
)
