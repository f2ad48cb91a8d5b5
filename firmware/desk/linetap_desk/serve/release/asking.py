# SPDX-License-Identifier: Apache-2.0
"""An officer asks for a call to be opened."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.release import DEFAULT_DAYS, MOST_DAYS
from linetap_core.evidence.roles import RolesFault
from linetap_desk.serve.access.log import Subject
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.serve.release import call as named
from linetap_desk.serve.release import judge, store
from linetap_desk.serve.release.answering import said
from linetap_desk.serve.release.rolesfile import in_force
from linetap_desk.serve.release.stepfault import StepFault
from linetap_desk.serve.site import Site
from linetap_desk.serve.tables import requests

FIELDS = ("purpose", "case", "requester", "recipient", "days")
TAKES = ("unit", "call_id", *FIELDS)


async def ask_page(request: Request, site: Site) -> Response:
    row = await named.find(site, str(request.path_params["unit"]), str(request.path_params["call_id"]))
    return await _ask(request, site, row, {"days": str(DEFAULT_DAYS)})


async def _ask(
    request: Request, site: Site, row: Any, typed: dict[str, str], error: Exception | None = None
) -> Response:
    try:
        named.require(row)
        purposes = (await anyio.to_thread.run_sync(in_force, site)).roles.purposes
    except (StepFault, RolesFault) as why:
        purposes, error = [], error or why
    return site.pages.page(
        request, "release/ask.html", 200 if error is None else 409, row=row, typed=typed, purposes=purposes,
        most_days=MOST_DAYS, error=None if error is None else said(site, request, error),
    )  # fmt: skip


async def ask(request: Request, site: Site) -> Response:
    form, who = await request.form(), who_of(request)
    row = await named.find(site, str(form.get("unit", "")), str(form.get("call_id", "")))
    subject = Subject(calls=(row["call_id"],))
    typed: dict[str, str] = {}
    made: list[str] = []
    try:
        typed = {name: judge.typed(form.get(name)) for name in FIELDS}
        call = named.require(row)
        roles = (await anyio.to_thread.run_sync(in_force, site)).roles
        asked = judge.asked(call.named, typed, roles, site.clock.utc_ns())
    except (Refusal, BadInput) as error:
        await store.refused(request, site, "request_ask", subject, error)
        return await _ask(request, site, row, typed, error)

    def do(db: Connection) -> Subject:
        made.append(store.new_id(db, site, requests))
        values = {
            "id": made[0], "unit": call.unit, "call_id": call.named.call_id, "line": call.named.line,
            "record_sha256": call.named.record_sha256, "purpose": asked.purpose, "case_number": asked.case,
            "requester": asked.requester, "recipient": asked.recipient, "asked_by": who.name,
            "asked_at": asked.created, "expires_at": asked.expires,
        }  # fmt: skip
        store.add(db, values)
        return store.subject(values)

    await store.deed(request, site, "request_ask", subject, do)
    return RedirectResponse(f"/release/{made[0]}", 303)
