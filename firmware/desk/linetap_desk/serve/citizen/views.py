# SPDX-License-Identifier: Apache-2.0
"""Shows the register of citizens' requests, one request, its printed forms, and the statement on a call that the office
ended."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.authorization import citizen
from linetap_core.evidence.authorization.release import MOST_DAYS
from linetap_core.zones import local_time
from linetap_desk.serve.citizen import steps, store
from linetap_desk.serve.citizen.steps import CitizenRequest
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.ended.routes import show_statement
from linetap_desk.serve.handling.site import Site, read_own
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import common
from linetap_desk.serve.release import store as releases
from linetap_desk.serve.release.common import error_texts, id_of
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.web.roles import OFFICER, READS_REPORTS


def today(site: Site) -> date:
    return site.pages.local(site.clock.utc_ns()).date()


def error_of(site: Site, request: Request, error: Exception | None) -> dict[str, str] | None:
    if error is None:
        return None
    texts, code = error_texts(site, request, error), releases.code_of(error)
    words = {"text": site.pages.translated(request, steps.REFUSAL[code])} if code in steps.REFUSAL else {}
    return texts | words


async def overview(request: Request, site: Site) -> Response:
    return await show_register(request, site, {"received_on": str(today(site)), "called_on": ""})


async def show_register(
    request: Request, site: Site, typed: dict[str, str], error: Exception | None = None
) -> Response:  # fmt: skip
    opened, closed = await read_own(site, lambda db: (store.open_requests(db), store.closed_requests(db)))
    return site.pages.page(
        request, "citizen/list.html", 200 if error is None else 409, opened=opened, closed=closed, words=steps,
        today=today(site), typed=typed, may=bool(session_user(request).roles & OFFICER),
        error=error_of(site, request, error),
    )  # fmt: skip


async def one(request: Request, site: Site) -> Response:
    return await show_one(request, site, "citizen/one.html")


async def receipt(request: Request, site: Site) -> Response:
    return await show_one(request, site, "citizen/receipt.html")


async def notice(request: Request, site: Site) -> Response:
    return await show_one(request, site, "citizen/notice.html")


async def show_one(request: Request, site: Site, template: str, error: Exception | None = None) -> Response:
    def read(db: Connection) -> tuple[CitizenRequest, list[Any], dict[str, str]]:
        citizen_request = store.require(db, id_of(request))
        names = {citizen_request.row[name] for name in ("registered_by", "decided_by", "closed_by")} - {None}
        shown = {name: releases.display_name(db, name) for name in names}
        return citizen_request, list(store.releases_of(db, citizen_request)), shown

    citizen_request, released, names = await read_own(site, read)
    if template == "citizen/notice.html" and citizen_request.row["decision"] is None:
        raise HTTPException(404)
    who = session_user(request)
    row = citizen_request.row
    closed = row["closed_at"]
    return site.pages.page(
        request, template, 200 if error is None else 409, one=citizen_request,
        row=row, released=released, names=names,
        words=steps, today=today(site), may=lambda roles: bool(who.roles & roles), most_days=MOST_DAYS,
        own=who.name == row["registered_by"], case=case_of(citizen_request), recipients=citizen,
        ended_sees=READS_REPORTS, kept_days=store.KEPT_DAYS,
        decided_on=None if row["decided_at"] is None else day_of(site, row["decided_at"]),
        closed_on=None if closed is None else day_of(site, closed), error=error_of(site, request, error),
    )  # fmt: skip


def day_of(site: Site, moment: str) -> date:
    return local_time(parse_rfc3339(moment), site.pages.zone).date()


def case_of(citizen_request: CitizenRequest) -> str:
    digits = citizen_request.row["digits"]
    return citizen_request.id if digits is None else citizen.case_text(citizen_request.id, digits)


TAKES = ("ended_unit", "ended_call")


async def subject_of(request: Request) -> Subject:
    named = id_of(request)
    call = request.query_params.get("ended_call", "")
    return store.subject(named, calls=(call,) if call else ()) if store.ID.fullmatch(named) else Subject(terms=named)


async def statement(request: Request, site: Site) -> Response:
    citizen_request = await read_own(site, lambda db: store.require(db, id_of(request)))
    unit, call_id = (request.query_params.get(name, "").strip() for name in TAKES)
    try:
        row = await common.find_call(site, unit, call_id)
    except HTTPException as error:
        if error.status_code != 404:
            raise
        fault = StepFault("citizen_no_call", "unit, call: no such call is known here")
        return await show_one(request, site, "citizen/one.html", fault)
    if str(day_of(site, row["began_at"])) != citizen_request.row["called_on"]:
        fault = StepFault("citizen_other_day", f"{row['call_id']}: not of {citizen_request.row['called_on']}")
    elif row["situation"] is None:
        fault = StepFault("citizen_not_ended", f"{row['call_id']}: no unit ended it")
    else:
        return await show_statement(request, site, row, citizen_request.id)
    return await show_one(request, site, "citizen/one.html", fault)
