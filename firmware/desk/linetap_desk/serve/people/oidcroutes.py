# SPDX-License-Identifier: Apache-2.0
"""To the OIDC provider and back. Without [serve.oidc] there is no such page."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_desk.serve.access.log import REFUSED
from linetap_desk.serve.access.subject import Subject
from linetap_desk.serve.home import local_path
from linetap_desk.serve.people import login, oidc, sessions
from linetap_desk.serve.people.loginpage import keep, login_answer
from linetap_desk.serve.roles import EVERYBODY
from linetap_desk.serve.route import Route
from linetap_desk.serve.site import Site
from linetap_desk.serve.tables import people
from linetap_desk.serve.text import N_

AWAY = N_("The login provider is not reached.")
NOT_SO = N_("The login provider did not say who you are, or there is no account for you here.")


def _oidc(site: Site) -> oidc.Oidc:
    if site.oidc is None:
        raise HTTPException(404)
    return site.oidc


async def leave(request: Request, site: Site) -> Response:
    there = local_path(request.query_params.get("next"))
    try:
        return await _oidc(site).leave(request, there, request.cookies.get(sessions.COOKIE, ""))
    except oidc.Away:
        return login_answer(request, site, there, AWAY, 503)


async def back(request: Request, site: Site) -> Response:
    """A page and no redirect: a redirect that began at the provider would come without our strict cookie."""
    arrived = await _oidc(site).arrive(request)
    person = None if arrived is None else await anyio.to_thread.run_sync(_person, site, arrived.subject)
    address = request.state.address
    token = None
    if arrived is not None and person is not None:
        token = await login.by_person(site, person.id, person.name, address, "login_oidc", arrived.old)
    if arrived is None or token is None:
        await site.access.write("", address, "login_oidc", Subject(), REFUSED)
        return login_answer(request, site, "/", NOT_SO, 403)
    answer = keep(site.pages.page(request, "people/arrived.html", next=arrived.there), token)
    answer.delete_cookie(oidc.COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return answer


def _person(site: Site, subject: str) -> Any:
    with site.own.connect() as db:
        return db.execute(select(people).where(people.c.subject == subject, people.c.locked.is_(False))).one_or_none()


ROUTES: tuple[Route, ...] = (
    Route("/oidc", ("GET",), EVERYBODY, None, leave, takes=("next",), answers=(302, 404, 503)),
    Route(oidc.BACK, ("GET",), EVERYBODY, None, back, takes=("code", "state", "error"), answers=(200, 403, 404)),
)
