# SPDX-License-Identifier: Apache-2.0
"""The routes of releases: roles, acts in the access log, and the downloads."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from linetap_core.errors import BadInput, Refusal
from linetap_desk.serve.database.accesslog import DONE, REFUSED
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.handling.site import Route, Site, read_own, subject_of_path
from linetap_desk.serve.people import accounts
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import checking, handlers, package, store, uploadchecks, views
from linetap_desk.serve.release.checking import RolesInForce, roles_in_force
from linetap_desk.serve.release.common import DONE_OR_NOT, FILE, id_of, subject_of
from linetap_desk.serve.release.steps import RequestState
from linetap_desk.web.roles import APPROVERS, CUSTODIAN, EVERYBODY, OFFICER, READS_CALLS, RELEASES, VAULT
from linetap_desk.web.secure import bearer_token
from linetap_desk.web.text import N_


async def request_json(request: Request, site: Site) -> Response:
    state = await _require_request(request, site)
    if state.row["request"] is None:
        raise HTTPException(404)
    name = f"{state.row['id']}.json"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(bytes(state.row["request"]), media_type="application/json", headers=headers)


async def for_the_vault(request: Request, site: Site) -> Response:
    """An archive of request.json with its signatures, the call without its audio, and its re-wrapped key if there is
    one."""

    def members(state: RequestState, now: RolesInForce) -> list[package.Member]:
        state.require("unwrap", session_user(request).name, site.clock.utc_ns())
        uploadchecks.require_approved(state, now.roles, site.clock.utc_ns())
        checking.require_call(site, state.row, now.roles)
        return package.for_the_vault(site, state, now.roles)

    return await _package_answer(request, site, f"{id_of(request)}-vault.tar", members)


async def for_an_approver(request: Request, site: Site) -> Response:
    """An archive of request.json and the call without its audio, which `linetap release approve` verifies."""

    def members(state: RequestState, now: RolesInForce) -> list[package.Member]:
        state.require("approve", session_user(request).name, site.clock.utc_ns())
        checking.require_call(site, state.row, now.roles)
        return package.for_an_approver(site, state)

    return await _package_answer(request, site, f"{id_of(request)}-call.tar", members)


async def packed(request: Request, site: Site) -> Response:
    def members(state: RequestState, now: RolesInForce) -> list[package.Member]:
        state.require("give", session_user(request).name, site.clock.utc_ns())
        uploadchecks.require_approved(state, now.roles, site.clock.utc_ns())
        checking.require_call(site, state.row, now.roles)
        return package.members(site, state, now)

    return await _package_answer(request, site, f"{id_of(request)}.tar", members)


async def _package_answer(
    request: Request, site: Site, name: str, members: Callable[[RequestState, RolesInForce], list[package.Member]]
) -> Response:
    state = await _require_request(request, site)
    try:
        made = await anyio.to_thread.run_sync(lambda: members(state, roles_in_force(site)))
    except (Refusal, BadInput) as error:
        await store.log_refusal(request, site, "export", store.subject(state.row), error)
        return await views.page(request, site, error)
    return package.answer(made, name)


async def _require_request(request: Request, site: Site) -> RequestState:
    return await read_own(site, lambda db: store.require_request(db, id_of(request)))


async def fetch_package(request: Request, site: Site) -> Response:
    """The package for `linetap custody`, which has no session: `GET /package` with a ticket, which names the request.

    401 if the ticket is unknown, used or expired, or if its owner is no longer a custodian; 409 with the code if the
    request does not allow it. A ticket has 256 bits, so guesses are not logged: they would only fill the log.
    """
    ticket = bearer_token(request)
    used = await anyio.to_thread.run_sync(_use_ticket, site, ticket) if ticket else None
    if used is None:
        return PlainTextResponse("ticket\n", 401, {"www-authenticate": "Bearer"})
    state, by = used
    try:
        members = await anyio.to_thread.run_sync(_package_of, site, state, by)
    except (Refusal, BadInput) as error:
        refused = store.subject(state.row, store.code_of(error))
        await site.access.write(by, request.state.address, "export", refused, REFUSED)
        return PlainTextResponse(f"{store.code_of(error)}\n", 409)
    await site.access.write(by, request.state.address, "export", store.subject(state.row), DONE)
    return package.answer(members, f"{state.row['id']}.tar")


def _use_ticket(site: Site, ticket: str) -> tuple[RequestState, str] | None:
    with writing(site.own) as db:
        used = store.use_ticket(db, ticket, site.clock.utc_ns())
        if used is None or not accounts.has_role(db, used[1], CUSTODIAN):
            return None
        return store.require_request(db, used[0]), used[1]


def _package_of(site: Site, state: RequestState, by: str) -> list[package.Member]:
    now, now_ns = roles_in_force(site), site.clock.utc_ns()
    state.require("give", by, now_ns)
    uploadchecks.require_approved(state, now.roles, now_ns)
    checking.require_call(site, state.row, now.roles)
    return package.members(site, state, now)


CLOSES = ("outcome", "remark")

# A POST writes its row of the access log with its change in one transaction, so it names no act here.
ROUTES: tuple[Route, ...] = (
    Route(
        "/release",
        ("GET",),
        READS_CALLS,
        "request_list",
        views.overview,
        menu=N_("Releases and holds"),
        takes=("page",),
        answers=(200, 400),
    ),
    Route("/release/ask/{unit}/{call_id:path}", ("GET",), OFFICER, "view", handlers.ask_page, subject=subject_of_path),
    Route("/release/ask", ("POST",), OFFICER, None, handlers.ask, takes=handlers.ASK_TAKES, answers=DONE_OR_NOT),
    Route("/release/{id}", ("GET",), READS_CALLS, "request_view", views.one, subject=subject_of),
    Route("/release/{id}/request.json", ("GET",), RELEASES, "request_view", request_json, subject=subject_of),
    Route("/release/{id}/key", ("POST",), CUSTODIAN, None, handlers.key, takes=("one_time",), answers=DONE_OR_NOT),
    Route("/release/{id}/approve", ("POST",), APPROVERS, None, handlers.approve, takes=FILE, answers=DONE_OR_NOT),
    Route("/release/{id}/call", ("GET",), APPROVERS, "export", for_an_approver, subject=subject_of),
    Route("/release/{id}/vault", ("GET",), VAULT, "export", for_the_vault, subject=subject_of),
    Route("/release/{id}/partial", ("POST",), VAULT, None, handlers.partial, takes=FILE, answers=DONE_OR_NOT),
    Route(
        "/release/{id}/unwrap",
        ("POST",),
        VAULT,
        None,
        handlers.unwrap,
        takes=(*FILE, "together"),
        answers=DONE_OR_NOT,
    ),
    Route("/release/{id}/handed", ("POST",), CUSTODIAN, None, handlers.handed, takes=FILE, answers=DONE_OR_NOT),
    Route("/release/{id}/ticket", ("POST",), CUSTODIAN, None, handlers.ticket, answers=(200, 404, 409)),
    Route("/release/{id}/package", ("GET",), CUSTODIAN, "export", packed, subject=subject_of),
    Route("/release/{id}/close", ("POST",), RELEASES, None, handlers.close, takes=CLOSES, answers=DONE_OR_NOT),
    Route("/package", ("GET",), EVERYBODY, None, fetch_package, answers=(200, 401, 409)),
)
