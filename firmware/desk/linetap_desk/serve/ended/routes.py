# SPDX-License-Identifier: Apache-2.0
"""The list of ended calls, one call with its reviews, and the statement for the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.errors import BadInput, Refusal
from linetap_core.records import EndRecord
from linetap_desk.copy import recordfile
from linetap_desk.protection import figures, words
from linetap_desk.serve.calls import calldetails
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.ended import reviews
from linetap_desk.serve.ended.reviews import seen_by
from linetap_desk.serve.handling.site import Route, Site, read_ingest, read_own
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.protection.routes import period_of
from linetap_desk.serve.release import common, uploadchecks
from linetap_desk.serve.release import store as releases
from linetap_desk.web.roles import AUDITOR, READS_REPORTS, SUPERVISORS
from linetap_desk.web.text import N_

COUNTS = SUPERVISORS | AUDITOR  # may see the number of ended calls for each telephone


async def overview(request: Request, site: Site) -> Response:
    of = period_of(request, site)
    rows = await read_ingest(site, lambda db: figures.ended_calls(db, of))
    who, lines = session_user(request), site.calls.directory.lines

    def read(db: Connection) -> tuple[list[figures.Row], dict[reviews.Name, str]]:
        sees = seen_by(db, who)
        shown = [row for row in rows[: figures.MOST] if sees(figures.seat_of(row, lines).department)]
        return shown, reviews.last_of(db, [(row["unit"], row["call_id"]) for row in shown])

    shown, found = await read_own(site, read)
    return site.pages.page(
        request, "ended/list.html", period=of, rows=[(row, figures.seat_of(row, lines)) for row in shown],
        more=len(rows) > figures.MOST, seats=figures.by_seat(shown, lines) if who.roles & COUNTS else None,
        reviewed=found, findings=reviews.FINDINGS, words=calldetails, text_of=site.pages.text_of(request),
    )  # fmt: skip


async def one(request: Request, site: Site) -> Response:
    row = await _row(request, site, request.path_params)
    return await _call_page(request, site, row)


async def _call_page(request: Request, site: Site, row: Mapping[str, Any], error: Exception | None = None) -> Response:
    def read(db: Connection) -> tuple[list[Mapping[str, Any]], dict[str, str]]:
        found = reviews.of_call(db, (row["unit"], row["call_id"]))
        return found, {one["by"]: releases.display_name(db, one["by"]) for one in found}

    found, names = await read_own(site, read)
    who = session_user(request)
    return site.pages.page(
        request, "ended/one.html", 200 if error is None else 409, row=row, end=await _record(site, row),
        seat=figures.seat_of(row, site.calls.directory.lines), reviews=found, names=names, findings=reviews.FINDINGS,
        words=calldetails, text_of=site.pages.text_of(request), may_review=bool(who.roles & SUPERVISORS),
        may_ask="officer" in who.roles and common.may_be_requested(row), most=reviews.REMARK_LIMIT,
        error=None if error is None else common.error_texts(site, request, error),
    )  # fmt: skip


async def review(request: Request, site: Site) -> Response:
    form, who = await request.form(), session_user(request)
    named = {name: uploadchecks.typed_field(form.get(name)) for name in ("unit", "call_id")}
    row = await _row(request, site, named)
    subject = Subject(calls=(row["call_id"],), terms=row["unit"])

    def do(db: Connection) -> Subject:
        finding = uploadchecks.typed_field(form.get("finding"))
        text = reviews.checked(finding, uploadchecks.typed_field(form.get("remark")))
        reviews.add(db, (row["unit"], row["call_id"]), finding, text, who.name, site.clock.utc_ns())
        return Subject(calls=subject.calls, terms=subject.terms, remark=finding)

    try:
        await releases.run_logged(request, site, "ended_review", subject, do)
    except (Refusal, BadInput) as error:
        return await _call_page(request, site, row, error)
    return RedirectResponse(f"/ended/call/{row['unit']}/{row['call_id']}", 303)


async def statement(request: Request, site: Site) -> Response:
    return await show_statement(request, site, await _row(request, site, request.path_params))


async def show_statement(request: Request, site: Site, row: Mapping[str, Any], receipt: str = "") -> Response:
    """Shows the statement. `receipt`: the number of the citizen's request that it answers."""
    return site.pages.page(
        request, "ended/statement.html", row=row, end=await _record(site, row), receipt=receipt,
        department=figures.seat_of(row, site.calls.directory.lines).department, words=calldetails, reasons=words.REASON,
        text_of=site.pages.text_of(request), complaints=site.settings.desk.serve.complaints,
        today=site.pages.local(site.clock.utc_ns()).date(),
    )  # fmt: skip


def require_ended(row: Mapping[str, Any]) -> None:
    """404 unless the unit ended the call, and its data still exists."""
    if row["situation"] is None:
        raise HTTPException(404)


async def _row(request: Request, site: Site, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row; 404 also for a call of another supervisor's department."""
    row = await common.find_call(site, str(named["unit"]), str(named["call_id"]))
    require_ended(row)

    def sees() -> bool:
        with site.own.connect() as db:
            return seen_by(db, session_user(request))(figures.seat_of(row, site.calls.directory.lines).department)

    if not await anyio.to_thread.run_sync(sees):
        raise HTTPException(404)
    return row


async def _record(site: Site, row: Mapping[str, Any]) -> EndRecord | None:
    """The end of the call in its signed record; None without a second copy here."""
    desk = site.settings.desk

    def read() -> EndRecord | None:
        found = recordfile.read_record(desk, row["unit"], row["call_id"], row["record_sha256"]).record
        return None if found is None else found.end or None

    return await anyio.to_thread.run_sync(read)


async def subject_of_list(request: Request) -> Subject:
    return Subject(terms=request.query_params.get("period", "")[:7])


ROUTES: tuple[Route, ...] = (
    Route(
        "/ended",
        ("GET",),
        READS_REPORTS,
        "ended_list",
        overview,
        subject=subject_of_list,
        menu=N_("Ended calls"),
        takes=("period",),
        answers=(200, 404),
    ),
    Route("/ended/call/{unit}/{call_id:path}", ("GET",), READS_REPORTS, "ended_view", one, answers=(200, 404)),
    Route(
        "/ended/statement/{unit}/{call_id:path}", ("GET",), READS_REPORTS, "ended_print", statement, answers=(200, 404)
    ),
    Route(
        "/ended/review",
        ("POST",),
        SUPERVISORS,
        None,
        review,
        takes=("unit", "call_id", "finding", "remark"),
        answers=(303, 404, 409),
    ),
)
