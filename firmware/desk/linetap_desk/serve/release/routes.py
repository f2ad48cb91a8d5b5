# SPDX-License-Identifier: Apache-2.0
"""The routes of releases: who may, and what the access log has before it is answered."""

from __future__ import annotations

from linetap_desk.serve.release import asking, downloads, showing, stepping, steps
from linetap_desk.serve.release.answering import DONE_OR_NOT, FILE, MAY, TAKES_PART, subject_of
from linetap_desk.serve.route import Route, subject_of_path
from linetap_desk.serve.text import N_

CLOSES = ("outcome", "remark")

# Of a POST the access log has its row with what it does, in one transaction: so it names no act here.
ROUTES: tuple[Route, ...] = (
    Route(
        "/release",
        ("GET",),
        MAY,
        "request_list",
        showing.overview,
        menu=N_("Releases and holds"),
        takes=("page",),
        answers=(200, 400),
    ),
    Route("/release/ask/{unit}/{call_id:path}", ("GET",), steps.ASKS, "view", asking.ask_page, subject=subject_of_path),
    Route("/release/ask", ("POST",), steps.ASKS, None, asking.ask, takes=asking.TAKES, answers=DONE_OR_NOT),
    Route("/release/{id}", ("GET",), MAY, "request_view", showing.one, subject=subject_of),
    Route(
        "/release/{id}/request.json", ("GET",), TAKES_PART, "request_view", downloads.request_json, subject=subject_of
    ),
    Route("/release/{id}/key", ("POST",), steps.KEEPS, None, stepping.key, takes=("one_time",), answers=DONE_OR_NOT),
    Route("/release/{id}/approve", ("POST",), steps.APPROVES, None, stepping.approve, takes=FILE, answers=DONE_OR_NOT),
    Route("/release/{id}/call", ("GET",), steps.APPROVES, "export", downloads.for_an_approver, subject=subject_of),
    Route("/release/{id}/vault", ("GET",), steps.UNWRAPS, "export", downloads.for_the_vault, subject=subject_of),
    Route("/release/{id}/partial", ("POST",), steps.UNWRAPS, None, stepping.partial, takes=FILE, answers=DONE_OR_NOT),
    Route(
        "/release/{id}/unwrap",
        ("POST",),
        steps.UNWRAPS,
        None,
        stepping.unwrap,
        takes=(*FILE, "together"),
        answers=DONE_OR_NOT,
    ),
    Route("/release/{id}/handed", ("POST",), steps.KEEPS, None, stepping.handed, takes=FILE, answers=DONE_OR_NOT),
    Route("/release/{id}/ticket", ("POST",), steps.KEEPS, None, stepping.ticket, answers=(200, 404, 409)),
    Route("/release/{id}/package", ("GET",), steps.KEEPS, "export", downloads.packed, subject=subject_of),
    Route("/release/{id}/close", ("POST",), TAKES_PART, None, stepping.close, takes=CLOSES, answers=DONE_OR_NOT),
)
