# SPDX-License-Identifier: Apache-2.0
"""The auditor's pages: the months, each person's accesses in a month, and the signing of a review."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import rfc3339
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.handling.site import Route, Site, read_own
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.review import review
from linetap_desk.web.roles import AUDITOR
from linetap_desk.web.text import N_

WHY_NOT = {
    "not_over": N_("The month is not over."),
    "signed_already": N_("The review of this month is already signed."),
    "no_remark": N_("Write what you found: 1 to 300 characters."),
    "among_the_reviewed": N_("You are among those reviewed in this month. Another auditor has to sign."),
}
ACTS = {
    "view": N_("Call viewed"),
    "fleet_view": N_("All units viewed"),
    "unit_view": N_("Unit viewed"),
    "fleet_seen": N_("Fault of a unit acknowledged"),
    "shift_view": N_("Shift log viewed"),
    "shift_note": N_("Note left in the shift log"),
    "walks_view": N_("Walk tests of a unit viewed"),
    "search": N_("Search"),
    "play": N_("Played"),
    "export": N_("Export"),
    "request_list": N_("List of requests viewed"),
    "request_view": N_("Request viewed"),
    "request_ask": N_("Release requested"),
    "request_key": N_("One-time key entered"),
    "request_approve": N_("Approval uploaded"),
    "request_partial": N_("Partial of an officer uploaded"),
    "request_unwrap": N_("Vault officer's half uploaded"),
    "request_handed": N_("Partial of a custodian uploaded"),
    "request_ticket": N_("Ticket made"),
    "request_close": N_("Request closed"),
    "find_ticket": N_("Search by number: reason given"),
    "find_begin": N_("Search by number: sealed indexes fetched"),
    "find": N_("Searched by number"),
    "hold_ask": N_("Hold requested"),
    "hold_view": N_("Hold viewed"),
    "hold_partial": N_("Partial of an officer uploaded for a hold"),
    "hold_command": N_("Hold command uploaded"),
    "hold_cosign": N_("Second signature of a hold command uploaded"),
    "hold_send": N_("Hold command sent again"),
    "hold_check": N_("Check of a hold's key uploaded"),
    "hold_close": N_("Hold closed"),
    "citizen_list": N_("List of access requests viewed"),
    "citizen_view": N_("Access request viewed"),
    "citizen_print": N_("Form of an access request printed"),
    "citizen_register": N_("Access request registered"),
    "citizen_decide": N_("Access request decided"),
    "citizen_meet": N_("Appointment for an access request"),
    "citizen_close": N_("Access request closed"),
    "accusation_view": N_("File for an accusation viewed"),
    "ended_list": N_("List of ended calls viewed"),
    "ended_view": N_("Ended call viewed"),
    "ended_review": N_("Ended call reviewed"),
    "ended_print": N_("Statement on an ended call printed"),
    "overflow_view": N_("Calls of overflow epochs viewed"),
    "overflow_take": N_("Re-wrapped keys or their checks uploaded"),
    "commands_view": N_("Commands to units viewed"),
    "commands_take": N_("Commands to units uploaded"),
    "commands_again": N_("Commands to units sent again"),
    "commands_away": N_("Commands to units put away"),
    "review": N_("Review viewed"),
    "review_signed": N_("Review signed"),
    "order_site": N_("Site's part of orders changed"),
    "order_make": N_("Order of a new unit made"),
    "order_sign": N_("Signature of an order uploaded"),
    "adopt_prepare": N_("Configuration of a new unit uploaded"),
    "adopt_choose": N_("New unit let count its digits"),
    "adopt_compare": N_("Digits of a new unit compared"),
    "adopt_certificate": N_("Certificate of a new unit uploaded"),
    "adopt_end": N_("Adoption ended"),
    "login": N_("Login"),
    "login_first": N_("Password accepted, passkey requested"),
    "login_passkey": N_("Passkey refused"),
    "people_departments": N_("Departments of a supervisor changed"),
    "people_invite": N_("One-time link made"),
    "people_first": N_("First password and passkey set"),
    "restore_view": N_("Lost passkeys viewed"),
    "restore_ask": N_("Lost passkey: restoration requested"),
    "restore_confirm": N_("Lost passkey: restoration confirmed"),
    "people_restored": N_("Lost passkey replaced"),
    "login_oidc": N_("Login by OIDC"),
    "login_too_often": N_("Too many logins"),
    "logout": N_("Logout"),
    "unlock": N_("Unlocked"),
    "people_add": N_("Account created"),
    "people_roles": N_("Roles changed"),
    "people_password": N_("Password changed"),
    "people_lock": N_("Account locked"),
    "people_unlock": N_("Account unlocked"),
    "access_rekey": N_("Another key for this log"),
}
OUTCOMES = {"shown": N_("Shown"), "refused": N_("Refused"), "done": N_("Done")}


def act_of(row: Any) -> str:
    """The msgid of the logged act; of an unknown one its name."""
    return ACTS.get(row.act, str(row.act))


def _span(request: Request, site: Site) -> review.Span:
    span = review.span_of(str(request.path_params["month"]), site.pages)
    if span is None:
        raise HTTPException(404)
    return span


async def subject_of_review(request: Request) -> Subject:
    words = (str(request.path_params.get("month", "")), request.query_params.get("person", ""))
    return Subject(terms=" ".join(filter(None, words)))


async def overview(request: Request, site: Site) -> Response:
    def read(db: Connection) -> tuple[list[str], dict[str, Any]]:
        return review.months(db, site.pages, site.clock.utc_ns()), review.signed(db)

    months, signed = await read_own(site, read)
    now = f"{site.pages.local(site.clock.utc_ns()):%Y-%m}"
    return site.pages.page(request, "access/overview.html", months=months, signed=signed, now=now)


async def month(request: Request, site: Site) -> Response:
    return await _month(request, site, _span(request, site))


async def _month(
    request: Request, site: Site, span: review.Span, error: str = "", remark: str = "", status: int = 200
) -> Response:
    def read(db: Connection) -> tuple[list[review.Figures], Any]:
        return review.figures(db, span, site.settings, site.pages), review.signed(db).get(span.month)

    figures, signed = await read_own(site, read)
    is_over = span.until <= rfc3339(site.clock.utc_ns())
    return site.pages.page(
        request, "access/month.html", status, span=span, figures=figures, signed=signed, error=error, remark=remark,
        is_over=is_over, hours=f"{site.settings.opens:%H:%M}-{site.settings.closes:%H:%M}",
    )  # fmt: skip


async def rows(request: Request, site: Site) -> Response:
    span, after = _span(request, site), _number(request)
    person = request.query_params.get("person", "").replace("\0", "")

    found, following = await read_own(site, lambda db: review.rows_of(db, span, person, after))
    return site.pages.page(
        request, "access/rows.html", span=span, person=person, rows=found, following=following, act_of=act_of,
        outcomes=OUTCOMES,
    )  # fmt: skip


async def sign(request: Request, site: Site) -> Response:
    span, who, form = _span(request, site), session_user(request), await request.form()
    remark = form.get("remark")
    text = remark if isinstance(remark, str) else ""
    try:
        await anyio.to_thread.run_sync(
            review.sign, site.access, span, site.settings, site.pages, who.name, request.state.address, text
        )
    except review.NotSigned as error:
        return await _month(request, site, span, WHY_NOT[error.code], text, 409)
    return RedirectResponse(f"/review/{span.month}", 303)


def _number(request: Request) -> int:
    text = request.query_params.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise HTTPException(400)
    return int(text)


ROUTES: tuple[Route, ...] = (
    Route("/review", ("GET",), AUDITOR, "review", overview, subject=subject_of_review, menu=N_("Access review")),
    Route("/review/{month}", ("GET",), AUDITOR, "review", month, subject=subject_of_review),
    Route(
        "/review/{month}/rows",
        ("GET",),
        AUDITOR,
        "review",
        rows,
        subject=subject_of_review,
        takes=("person", "after"),
        answers=(200, 400),
    ),
    # The row and its content are written together, or not at all.
    Route("/review/{month}", ("POST",), AUDITOR, None, sign, takes=("remark",), answers=(303, 409)),
)
