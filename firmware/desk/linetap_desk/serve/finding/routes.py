# SPDX-License-Identifier: Apache-2.0
"""The page that begins a search by number: a person enters purpose, case and days, and gets a ticket. No number is
entered."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date, timedelta

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import CASE_LIMIT
from linetap_core.evidence.authorization.roles import Purpose, RolesFault
from linetap_core.evidence.signing import document
from linetap_desk.inputs.strict import is_possible_day
from linetap_desk.serve.database.accesslog import DONE, REFUSED, Subject, has_number
from linetap_desk.serve.finding.grants import TICKET_S, Grant
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import steps, store, uploadchecks
from linetap_desk.serve.release.checking import roles_in_force
from linetap_desk.serve.release.common import error_texts
from linetap_desk.web.roles import CUSTODIAN, VAULT
from linetap_desk.web.text import N_

SEARCHES = CUSTODIAN | VAULT  # roles that may hold index keys
FIELDS = ("purpose", "case", "from", "to")
MOST_DAYS = 3660


async def form(request: Request, site: Site) -> Response:
    today = site.pages.local(site.clock.utc_ns()).date()
    return await _form(request, site, {"from": str(today - timedelta(days=7)), "to": str(today)})


async def begin(request: Request, site: Site) -> Response:
    """Issues a ticket, after writing the row of the access log."""
    fields, who, typed = await request.form(), session_user(request), dict[str, str]()
    try:
        typed = {name: uploadchecks.typed_field(fields.get(name)) for name in FIELDS}
        grant = _grant(typed, await _purposes(site), who.name)
    except (Refusal, BadInput) as error:
        subject = Subject(remark=store.code_of(error))
        await site.access.write(who.name, request.state.address, "find_ticket", subject, REFUSED)
        return await _form(request, site, typed, error)
    await site.access.write(who.name, request.state.address, "find_ticket", subject_of(grant), DONE)
    return site.pages.page(
        request, "finding/ticket.html", grant=grant, ticket=site.finding.ticket(grant), url=site.settings.url,
        minutes=TICKET_S // 60,
    )  # fmt: skip


def subject_of(grant: Grant, terms: str = "") -> Subject:
    """The subject of a log row. `terms`: in addition to the days; never a number."""
    return Subject(
        terms=" ".join(filter(None, (grant.span, terms))), request=grant.id, purpose=grant.purpose, case=grant.case
    )


async def _form(request: Request, site: Site, typed: dict[str, str], error: Exception | None = None) -> Response:
    try:
        purposes = await _purposes(site)
    except RolesFault as why:
        purposes, error = [], error or why
    return site.pages.page(
        request, "finding/find.html", 200 if error is None else 409, typed=typed, purposes=purposes,
        error=None if error is None else error_texts(site, request, error),
    )  # fmt: skip


async def _purposes(site: Site) -> Sequence[Purpose]:
    return (await anyio.to_thread.run_sync(roles_in_force, site)).roles.purposes


def _grant(typed: dict[str, str], purposes: Sequence[Purpose], person: str) -> Grant:
    if typed["purpose"] not in [one.id for one in purposes]:
        raise steps.StepFault("purpose_unknown", "purpose: one of the list expected")
    document.require_plain(typed["case"], "case", CASE_LIMIT)
    if not typed["case"] or has_number(typed["case"]):
        raise BadInput("case: a file number expected, and no telephone number")
    try:
        first, last = date.fromisoformat(typed["from"]), date.fromisoformat(typed["to"])
    except ValueError:
        raise BadInput("from, to: days as 2026-11-24 expected") from None
    possible = is_possible_day(first) and is_possible_day(last)
    if not possible or not timedelta(0) <= last - first <= timedelta(days=MOST_DAYS):
        raise BadInput(f"from, to: at most {MOST_DAYS} days expected, the first day first")
    return Grant(f"F-{secrets.token_hex(4)}", person, typed["purpose"], typed["case"], first, last)


ROUTES: tuple[Route, ...] = (
    Route("/find", ("GET",), SEARCHES, None, form, menu=N_("Find by number"), answers=(200, 409)),
    Route("/find", ("POST",), SEARCHES, None, begin, takes=FIELDS, answers=(200, 409)),
)
