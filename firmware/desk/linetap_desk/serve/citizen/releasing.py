# SPDX-License-Identifier: Apache-2.0
"""Requests the release of one call for a citizen's request. Purpose, case, requester and form of access come from the
register, and no key is typed."""

from __future__ import annotations

import anyio.to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import citizen
from linetap_core.evidence.authorization.release import require_copy
from linetap_desk.serve.access.log import Subject
from linetap_desk.serve.citizen import store, views
from linetap_desk.serve.citizen.steps import CitizenRequest
from linetap_desk.serve.handling.site import Site, read_own
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.serve.release import checking, common, uploadchecks
from linetap_desk.serve.release import store as releases
from linetap_desk.serve.release.common import id_of
from linetap_desk.serve.release.steps import StepFault

TAKES = ("unit", "call_id", "days", "way")


async def release(request: Request, site: Site) -> Response:
    """Requests the release of one call for the citizen's request."""
    form, who, now_ns = await request.form(), who_of(request), site.clock.utc_ns()
    subject = store.subject(id_of(request))
    made: list[Subject] = []

    found = await read_own(site, lambda db: store.require(db, id_of(request)))
    try:
        found.require_granted()
        call = await _call(request, site, found)
        copy = found.row["asked"] == "copy" and form.get("way") != "listen"
        typed = {
            "purpose": citizen.PURPOSE, "case": views.case_of(found), "requester": who.shown,
            "recipient": citizen.BY_PASSPHRASE if copy else citizen.BY_LISTENING,
            "days": uploadchecks.typed_field(form.get("days")),
        }  # fmt: skip
        roles = (await anyio.to_thread.run_sync(checking.in_force, site)).roles
        typed["party"] = citizen.PARTY if any(rule.purpose == citizen.PURPOSE for rule in roles.rules) else ""
        asked = uploadchecks.new_request(call.named, typed, roles, now_ns, call.unit)
        if copy:
            require_copy(asked, roles)
    except (Refusal, BadInput) as error:
        await releases.log_refusal(request, site, "request_ask", subject, error)
        return await views.show_one(request, site, "citizen/one.html", error)

    def do(db: Connection) -> Subject:
        again = store.require(db, found.id)
        again.require_granted()
        for row in store.releases_of(db, again):
            if row["closed_at"] is None and parse_rfc3339(row["expires_at"]) > now_ns:
                raise StepFault("citizen_asked", f"{found.id}: {row['id']} is open")
        made.append(releases.add_request(db, site, call.unit, call.named, asked, who.name))
        return made[0]

    try:
        await releases.run_logged(request, site, "request_ask", subject, do)
    except (Refusal, BadInput) as error:
        return await views.show_one(request, site, "citizen/one.html", error)
    return RedirectResponse(f"/release/{made[0].request}", 303)


async def _call(request: Request, site: Site, found: CitizenRequest) -> common.Call:
    form = await request.form()
    try:
        row = await common.find_call(
            site, uploadchecks.typed_field(form.get("unit")), uploadchecks.typed_field(form.get("call_id"))
        )
    except HTTPException as error:
        if error.status_code != 404:
            raise
        raise StepFault("citizen_no_call", "unit, call_id: no such call is known here") from None
    if str(views.day_of(site, row["began_at"])) != found.row["called_on"]:
        raise StepFault("citizen_other_day", f"{row['call_id']}: not of {found.row['called_on']}")
    return common.require_recorded(row)
