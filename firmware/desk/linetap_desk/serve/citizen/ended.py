# SPDX-License-Identifier: Apache-2.0
"""The statement on a call that the office ended, for the citizen whose call it was."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_desk.serve.access.log import Subject
from linetap_desk.serve.citizen import store, views
from linetap_desk.serve.ended.routes import show_statement
from linetap_desk.serve.handling.site import Site, read_own
from linetap_desk.serve.release import common
from linetap_desk.serve.release.common import id_of
from linetap_desk.serve.release.steps import StepFault

TAKES = ("ended_unit", "ended_call")


async def subject_of(request: Request) -> Subject:
    named = id_of(request)
    call = request.query_params.get("ended_call", "")
    return store.subject(named, calls=(call,) if call else ()) if store.ID.fullmatch(named) else Subject(terms=named)


async def statement(request: Request, site: Site) -> Response:
    found = await read_own(site, lambda db: store.require(db, id_of(request)))
    unit, call_id = (request.query_params.get(name, "").strip() for name in TAKES)
    try:
        row = await common.find_call(site, unit, call_id)
    except HTTPException as error:
        if error.status_code != 404:
            raise
        fault = StepFault("citizen_no_call", "unit, call: no such call is known here")
        return await views.show_one(request, site, "citizen/one.html", fault)
    if str(views.day_of(site, row["began_at"])) != found.row["called_on"]:
        fault = StepFault("citizen_other_day", f"{row['call_id']}: not of {found.row['called_on']}")
    elif row["situation"] is None:
        fault = StepFault("citizen_not_ended", f"{row['call_id']}: no unit ended it")
    else:
        return await show_statement(request, site, row, found.id)
    return await views.show_one(request, site, "citizen/one.html", fault)
