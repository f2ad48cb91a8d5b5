# SPDX-License-Identifier: Apache-2.0
"""The handlers for the steps of a citizen's request, and the table of its routes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import citizen
from linetap_core.evidence.authorization.release import require_copy
from linetap_core.evidence.signing import document
from linetap_desk.serve.citizen import forms, steps, store, views
from linetap_desk.serve.citizen.steps import CitizenRequest
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.database.tables import citizens
from linetap_desk.serve.handling.site import Route, Site, read_own
from linetap_desk.serve.people.sessions import SessionUser, session_user
from linetap_desk.serve.release import checking, common, uploadchecks
from linetap_desk.serve.release import store as releases
from linetap_desk.serve.release.common import DONE_OR_NOT, id_of
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.web.roles import APPROVERS, OFFICER, READS_REPORTS
from linetap_desk.web.text import N_

TAKES = ("unit", "call_id", "days", "way")


async def release(request: Request, site: Site) -> Response:
    """Requests the release of one call for the citizen's request.

    Purpose, case, requester and form of access come from the register, and no key is typed.
    """
    form, who, now_ns = await request.form(), session_user(request), site.clock.utc_ns()
    subject = store.subject(id_of(request))
    made: list[Subject] = []

    citizen_request = await read_own(site, lambda db: store.require(db, id_of(request)))
    try:
        citizen_request.require_granted()
        call = await _call(request, site, citizen_request)
        copy = citizen_request.row["asked"] == "copy" and form.get("way") != "listen"
        typed = {
            "purpose": citizen.PURPOSE, "case": views.case_of(citizen_request), "requester": who.shown,
            "recipient": citizen.BY_PASSPHRASE if copy else citizen.BY_LISTENING,
            "days": uploadchecks.typed_field(form.get("days")),
        }  # fmt: skip
        roles = (await anyio.to_thread.run_sync(checking.roles_in_force, site)).roles
        typed["party"] = citizen.PARTY if any(rule.purpose == citizen.PURPOSE for rule in roles.rules) else ""
        asked = uploadchecks.new_request(call.named, typed, roles, now_ns, call.unit)
        if copy:
            require_copy(asked, roles)
    except (Refusal, BadInput) as error:
        await releases.log_refusal(request, site, "request_ask", subject, error)
        return await views.show_one(request, site, "citizen/one.html", error)

    def do(db: Connection) -> Subject:
        again = store.require(db, citizen_request.id)
        again.require_granted()
        for row in store.releases_of(db, again):
            if row["closed_at"] is None and parse_rfc3339(row["expires_at"]) > now_ns:
                raise StepFault("citizen_asked", f"{citizen_request.id}: {row['id']} is open")
        made.append(releases.add_request(db, site, call.unit, call.named, asked, who.name))
        return made[0]

    try:
        await releases.run_logged(request, site, "request_ask", subject, do)
    except (Refusal, BadInput) as error:
        return await views.show_one(request, site, "citizen/one.html", error)
    return RedirectResponse(f"/release/{made[0].request}", 303)


async def _call(request: Request, site: Site, citizen_request: CitizenRequest) -> common.Call:
    form = await request.form()
    try:
        row = await common.find_call(
            site, uploadchecks.typed_field(form.get("unit")), uploadchecks.typed_field(form.get("call_id"))
        )
    except HTTPException as error:
        if error.status_code != 404:
            raise
        raise StepFault("citizen_no_call", "unit, call_id: no such call is known here") from None
    if str(views.day_of(site, row["began_at"])) != citizen_request.row["called_on"]:
        raise StepFault("citizen_other_day", f"{row['call_id']}: not of {citizen_request.row['called_on']}")
    return common.require_recorded(row)


Do = Callable[[Connection, CitizenRequest, SessionUser], dict[str, Any]]


async def _subject_of(request: Request) -> Subject:
    named = id_of(request)
    return store.subject(named) if store.ID.fullmatch(named) else Subject(terms=named)


async def register(request: Request, site: Site) -> Response:
    form, who = await request.form(), session_user(request)
    typed: dict[str, str] = {}
    made: list[str] = []
    try:
        typed = forms.typed(form, forms.REGISTER)
        values = forms.registration(typed, (who.name, who.shown), views.today(site))
    except (Refusal, BadInput) as error:
        await releases.log_refusal(request, site, "citizen_register", store.subject(""), error)
        return await views.show_register(request, site, typed, error)

    def do(db: Connection) -> Subject:
        made.append(releases.new_id(db, site, citizens, "C"))
        at = rfc3339(site.clock.utc_ns())
        store.add(db, {"id": made[0], "registered_by": who.name, "registered_at": at, **values})
        return store.subject(made[0])

    await releases.run_logged(request, site, "citizen_register", store.subject(""), do)
    return RedirectResponse(f"/citizen/{made[0]}", 303)


async def _step(request: Request, site: Site, act: str, do: Do) -> Response:
    """Runs one step: `do` returns the changed columns, and the row of the access log is in the same transaction."""
    who, subject = session_user(request), store.subject(id_of(request))

    def within(db: Connection) -> Subject:
        citizen_request = store.require(db, id_of(request))
        values = do(db, citizen_request, who)
        store.change(db, citizen_request.id, **values)
        remark = values.get("decision") or values.get("outcome") or ""
        return store.subject(citizen_request.id, remark)

    try:
        await releases.run_logged(request, site, act, subject, within)
    except (Refusal, BadInput) as error:
        return await views.show_one(request, site, "citizen/one.html", error)
    return RedirectResponse(f"/citizen/{id_of(request)}", 303)


async def decide(request: Request, site: Site) -> Response:
    form = await request.form()

    def do(_db: Connection, citizen_request: CitizenRequest, who: SessionUser) -> dict[str, Any]:
        citizen_request.require_open()
        if who.name == citizen_request.row["registered_by"]:
            raise StepFault("citizen_two_people", f"{citizen_request.id}: {who.name} has registered it")
        if document.name_key(citizen_request.row["alias"]) in map(document.name_key, (who.name, who.shown)):
            raise StepFault("citizen_own", f"{citizen_request.id}: it is {who.shown}'s own")
        received = date.fromisoformat(citizen_request.row["received_on"])
        made = forms.decision(forms.typed(form, forms.DECIDE), received, views.today(site))
        at = rfc3339(site.clock.utc_ns())
        values = {"decision": made.decision, "ground": made.ground, "reason": made.reason, "decided_by": who.name,
                  "decided_at": at}  # fmt: skip
        if made.counted_from is not None:
            values["counted_from"] = made.counted_from
        if made.decision == "refused":
            values |= {"outcome": "refused", "closed_by": who.name, "closed_at": at}
        return values

    return await _step(request, site, "citizen_decide", do)


async def set_appointment(request: Request, site: Site) -> Response:
    form = await request.form()

    def do(_db: Connection, citizen_request: CitizenRequest, _who: SessionUser) -> dict[str, Any]:
        citizen_request.require_granted()
        return forms.appointment(forms.typed(form, forms.MEET), site.pages.zone, site.clock.utc_ns())

    return await _step(request, site, "citizen_meet", do)


async def close(request: Request, site: Site) -> Response:
    form = await request.form()

    def do(db: Connection, citizen_request: CitizenRequest, who: SessionUser) -> dict[str, Any]:
        outcome = forms.outcome(forms.typed(form, forms.CLOSE))
        citizen_request.require_open()
        if outcome != "withdrawn":
            citizen_request.require_granted()
            _require_released(store.releases_of(db, citizen_request), outcome)
        return {"outcome": outcome, "closed_by": who.name, "closed_at": rfc3339(site.clock.utc_ns())}

    return await _step(request, site, "citizen_close", do)


def _require_released(released: Any, outcome: str) -> None:
    """Requires that a vault officer has opened the outer layer for it; for a copy also that a copy was approved."""
    ways = {citizen.BY_PASSPHRASE} if outcome == "copied" else set(citizen.GIVEN_OUT)
    if not any(row["unwrapped_at"] is not None and row["recipient"] in ways for row in released):
        raise StepFault("citizen_not_released", "no release of this form has come to the custodian")


# A POST writes its row of the access log with its change, in one transaction.
ROUTES: tuple[Route, ...] = (
    Route("/citizen", ("GET",), steps.SEES, "citizen_list", views.overview, menu=N_("Access requests")),
    Route("/citizen", ("POST",), OFFICER, None, register, takes=forms.REGISTER, answers=(303, 409)),
    Route("/citizen/{id}", ("GET",), steps.SEES, "citizen_view", views.one, subject=_subject_of),
    Route("/citizen/{id}/receipt", ("GET",), steps.SEES, "citizen_print", views.receipt, subject=_subject_of),
    Route("/citizen/{id}/notice", ("GET",), steps.SEES, "citizen_print", views.notice, subject=_subject_of),
    Route(
        "/citizen/{id}/ended", ("GET",), steps.SEES & READS_REPORTS, "citizen_print", views.statement,
        subject=views.subject_of, takes=views.TAKES, answers=(200, 404, 409),
    ),
    Route("/citizen/{id}/decide", ("POST",), APPROVERS, None, decide, takes=forms.DECIDE, answers=DONE_OR_NOT),
    Route(
        "/citizen/{id}/release", ("POST",), OFFICER, None, release, takes=TAKES,
        answers=DONE_OR_NOT,
    ),
    Route("/citizen/{id}/meet", ("POST",), steps.HOSTS, None, set_appointment, takes=forms.MEET, answers=DONE_OR_NOT),
    Route("/citizen/{id}/close", ("POST",), steps.HOSTS, None, close, takes=forms.CLOSE, answers=DONE_OR_NOT),
)  # fmt: skip
