# SPDX-License-Identifier: Apache-2.0
"""Replaces a lost passkey with the help of two people, who log in by passkey themselves.

The first requests it, with a reason, and is shown one half of a code; another confirms it, and is shown the other half.
Each gives their half to the person concerned, who types both on the page of new accounts. Neither half alone is valid,
so neither of the two can take over the account. Every step is in the access log.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from linetap_desk.serve.database.accesslog import DONE, REFUSED, Subject
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.handling.site import Route, Site, read_own
from linetap_desk.serve.login.secondfactor import FIRST
from linetap_desk.serve.people import invitations
from linetap_desk.serve.people.invitations import RestoreFault
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.web.roles import RELEASES
from linetap_desk.web.text import N_

REASON_LIMIT = 300
WHY_NOT = {
    "restore_nobody": N_("There is no such account, or it is locked."),
    "restore_own": N_("Nobody restores their own passkey."),
    "restore_no_passkey": N_("Only someone who logs in by passkey can restore another's."),
    "restore_not_asked": N_("Not requested, or already confirmed."),
    "restore_second": N_("Another person has to confirm it."),
    "restore_no_reason": N_("Write why: 1 to 300 characters."),
}


async def _page(request: Request, site: Site, status: int = 200, error: str = "", half: str = "") -> Response:
    rows = await read_own(site, lambda db: list(invitations.pending_restorations(db, site.clock.utc_ns())))
    return site.pages.page(
        request, "people/restore.html", status, rows=rows, error=error, half=half, first=FIRST,
        url=site.settings.url, most=REASON_LIMIT,
    )  # fmt: skip


async def page(request: Request, site: Site) -> Response:
    return await _page(request, site)


async def ask(request: Request, site: Site) -> Response:
    form, who = await request.form(), session_user(request)
    name, reason = str(form.get("name") or "").strip().lower(), str(form.get("reason") or "").strip()

    def do(db: Connection) -> str:
        if not 0 < len(reason) <= REASON_LIMIT or not reason.isprintable():
            raise RestoreFault("restore_no_reason", f"reason: 1 to {REASON_LIMIT} characters expected")
        return invitations.ask(db, name, who.name, who.person, reason, site.clock.utc_ns())

    return await _step(request, site, "restore_ask", name, reason, do)


async def confirm(request: Request, site: Site) -> Response:
    form, who = await request.form(), session_user(request)
    name = str(form.get("name") or "").strip().lower()

    def do(db: Connection) -> str:
        return invitations.confirm(db, name, who.name, who.person, site.clock.utc_ns())

    return await _step(request, site, "restore_confirm", name, "", do)


async def _step(
    request: Request, site: Site, act: str, name: str, reason: str, do: Callable[[Connection], str]
) -> Response:  # fmt: skip
    who, address = session_user(request), request.state.address

    def within() -> str:
        with writing(site.own) as db:
            half = do(db)
            site.access.append_in(db, who.name, address, act, Subject(terms=name, remark=reason), DONE)
            return half

    try:
        half = await anyio.to_thread.run_sync(within)
    except RestoreFault as error:
        await site.access.write(who.name, address, act, Subject(terms=name, remark=error.code), REFUSED)
        return await _page(request, site, 409, WHY_NOT[error.code])
    return await _page(request, site, half=half)


ROUTES: tuple[Route, ...] = (
    Route("/restore", ("GET",), RELEASES, "restore_view", page, menu=N_("Lost passkeys")),
    Route("/restore", ("POST",), RELEASES, None, ask, takes=("name", "reason"), answers=(200, 409)),
    Route("/restore/confirm", ("POST",), RELEASES, None, confirm, takes=("name",), answers=(200, 409)),
)
