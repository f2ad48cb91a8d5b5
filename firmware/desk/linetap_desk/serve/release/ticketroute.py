# SPDX-License-Identifier: Apache-2.0
"""`GET /package` with a ticket: for `linetap custody`, which has no session. The ticket says which request."""

from __future__ import annotations

import re

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from linetap_core.errors import BadInput, Refusal
from linetap_desk.serve.access.log import DONE, REFUSED
from linetap_desk.serve.release import checking, judge, package, store, tickets
from linetap_desk.serve.release.rolesfile import in_force
from linetap_desk.serve.release.steps import Found
from linetap_desk.serve.roles import EVERYBODY
from linetap_desk.serve.route import Route
from linetap_desk.serve.site import Site
from linetap_desk.serve.transactions import writing

_BEARER = re.compile(r"Bearer ([0-9A-Za-z_-]{43})", re.ASCII)


async def fetch(request: Request, site: Site) -> Response:
    """401 for a ticket that is none, was used or is too old; 409 with the code where the request does not allow it.

    A ticket has 256 bits: nobody guesses one, and a wrong one leaves no row that could fill the log.
    """
    given = _BEARER.fullmatch(request.headers.get("authorization", ""))
    taken = await anyio.to_thread.run_sync(_take, site, given[1]) if given else None
    if taken is None:
        return PlainTextResponse("ticket\n", 401, {"www-authenticate": "Bearer"})
    found, by = taken
    try:
        members = await anyio.to_thread.run_sync(_members, site, found, by)
    except (Refusal, BadInput) as error:
        refused = store.subject(found.row, store.code_of(error))
        await site.access.write(by, request.state.address, "export", refused, REFUSED)
        return PlainTextResponse(f"{store.code_of(error)}\n", 409)
    await site.access.write(by, request.state.address, "export", store.subject(found.row), DONE)
    return package.answer(members, f"{found.row['id']}.tar")


def _take(site: Site, ticket: str) -> tuple[Found, str] | None:
    with writing(site.own) as db:
        taken = tickets.take(db, ticket, site.clock.utc_ns())
        return None if taken is None else (store.require(db, taken[0]), taken[1])


def _members(site: Site, found: Found, by: str) -> list[package.Member]:
    now, now_ns = in_force(site), site.clock.utc_ns()
    found.require("give", by, now_ns)
    judge.stands(found, now.roles, now_ns)
    checking.require(site, found.row, now.roles)
    return package.whole(site, found, now)


ROUTES: tuple[Route, ...] = (Route("/package", ("GET",), EVERYBODY, None, fetch, answers=(200, 401, 409)),)
