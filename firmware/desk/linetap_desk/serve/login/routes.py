# SPDX-License-Identifier: Apache-2.0
"""Login by password or by the OIDC provider, logout, unlocking and prolonging a session, and changing one's password. A
passkey that follows is in secondfactor.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio.to_thread
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from linetap_core.errors import BadInput
from linetap_desk.serve.database.accesslog import REFUSED, Subject
from linetap_desk.serve.database.tables import people
from linetap_desk.serve.handling.assets import local_path
from linetap_desk.serve.handling.gate import UNLOCK, login_address
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.login import login
from linetap_desk.serve.people import accounts, oidc, passkeys, sessions
from linetap_desk.serve.people.sessions import SessionUser, session_user
from linetap_desk.web.roles import EVERYBODY, SIGNED_IN
from linetap_desk.web.text import N_

SECOND = "/login/passkey"
WRONG = N_("The name or the password is wrong.")
WRONG_PASSWORD = N_("Wrong password.")
TOO_MANY = N_("Too many attempts. Wait some minutes.")
CROWDED = N_("Too many people are logging in at this moment. Try again in ten seconds.")
NOT_TWICE = N_("The two new passwords are not the same.")
LENGTH = N_("A password has 12 to 200 characters.")
NO_PASSKEY = N_("Your account needs a passkey and has none. Ask whoever runs the desk for a one-time link.")
PROVIDER_AWAY = N_("The login provider cannot be reached.")
NOT_IDENTIFIED = N_("The login provider did not identify you, or you have no account here.")


def oidc_name(site: Site) -> str:
    return "" if site.settings.oidc is None else site.settings.oidc.name


def login_answer(request: Request, site: Site, there: str, error: str = "", status: int = 200) -> Response:
    return site.pages.page(
        request, "people/login.html", status, here=login_address(there), next=there, error=error, oidc=oidc_name(site)
    )


def set_cookie(response: Response, token: str) -> Response:
    """Sets the session's cookie. It has no expiry: it ends with the browser, and the server ends the session."""
    response.set_cookie(sessions.COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")
    return response


def set_second(response: Response, token: str) -> Response:
    """Sets the cookie of a login that waits for its passkey."""
    response.set_cookie(
        passkeys.COOKIE, token, path="/", max_age=passkeys.WITHIN_S, secure=True, httponly=True, samesite="strict"
    )
    return response


def _provider(site: Site) -> oidc.Oidc:
    if site.oidc is None:
        raise HTTPException(404)
    return site.oidc


async def to_provider(request: Request, site: Site) -> Response:
    there = local_path(request.query_params.get("next"))
    try:
        return await _provider(site).redirect_to_provider(request, there, request.cookies.get(sessions.COOKIE, ""))
    except oidc.ProviderUnreachable:
        return login_answer(request, site, there, PROVIDER_AWAY, 503)


async def from_provider(request: Request, site: Site) -> Response:
    """Finishes a login at the provider. Returns a page, not a redirect: a redirect that began at the provider would
    come without our strict cookie."""
    identified = await _provider(site).finish_login(request)
    person = None if identified is None else await anyio.to_thread.run_sync(_person_of, site, identified.subject)
    address = request.state.address
    if identified is None or person is None:
        await site.access.write("", address, "login_oidc", Subject(), REFUSED)
        return login_answer(request, site, "/" if identified is None else identified.there, NOT_IDENTIFIED, 403)
    entered = await login.by_person(
        site, person.id, person.name, address, "login_oidc", identified.there, identified.old
    )
    if entered.no_passkey:
        return login_answer(request, site, identified.there, NO_PASSKEY, 403)
    there = SECOND if entered.second else identified.there
    answer = site.pages.page(request, "people/arrived.html", next=there)
    answer = set_second(answer, entered.second) if entered.second else set_cookie(answer, entered.token)
    answer.delete_cookie(oidc.COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return answer


def _person_of(site: Site, subject: str) -> Any:
    with site.own.connect() as db:
        return db.execute(select(people).where(people.c.subject == subject, people.c.locked.is_(False))).one_or_none()


def _field(found: object) -> str:
    return found if isinstance(found, str) else ""


async def login_page(request: Request, site: Site) -> Response:
    return login_answer(request, site, local_path(request.query_params.get("next")))


async def login_form(request: Request, site: Site) -> Response:
    form = await request.form()
    there = local_path(form.get("next"))
    name, password = _field(form.get("name")).strip().lower(), _field(form.get("password"))
    old = request.cookies.get(sessions.COOKIE, "")
    try:
        entered = await login.by_password(site, name, password, request.state.address, there, old)
    except login.TooMany:
        return login_answer(request, site, there, TOO_MANY, 429)
    except accounts.TooManyWaiting:
        return later(login_answer(request, site, there, CROWDED, 503))
    if entered.second:
        return set_second(RedirectResponse(SECOND, 303), entered.second)
    if not entered.token:
        return login_answer(request, site, there, NO_PASSKEY if entered.no_passkey else WRONG, 403)
    return set_cookie(RedirectResponse(there, 303), entered.token)


def later(answer: Response) -> Response:
    answer.headers["Retry-After"] = "10"
    return answer


async def unlock_page(request: Request, site: Site) -> Response:
    there, who = local_path(request.query_params.get("next")), request.state.who
    if who is None or not who.locked:
        return RedirectResponse(login_address(there) if who is None else there, 303)
    return await _unlock(request, site, who, there)


async def _unlock(
    request: Request, site: Site, who: SessionUser, there: str, error: str = "", status: int = 200
) -> Response:
    password = await anyio.to_thread.run_sync(login.has_password, site, who)
    return site.pages.page(
        request, "people/unlock.html", status, here=login_address(there, UNLOCK), next=there, error=error,
        password=password, oidc=oidc_name(site),
    )  # fmt: skip


async def unlock_form(request: Request, site: Site) -> Response:
    form, who = await request.form(), request.state.who
    there = local_path(form.get("next"))
    if who is None:
        return RedirectResponse(login_address(there), 303)
    try:
        if await login.unlock(site, who, _field(form.get("password")), request.state.address):
            return RedirectResponse(there, 303)
    except login.TooMany:
        return await _unlock(request, site, who, there, TOO_MANY, 429)
    except accounts.TooManyWaiting:
        return later(await _unlock(request, site, who, there, CROWDED, 503))
    return await _unlock(request, site, who, there, WRONG_PASSWORD, 403)


async def logout(request: Request, site: Site) -> Response:
    if request.state.who is not None:
        await login.end(site, request.state.who, request.state.address)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(sessions.COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return response


async def password_page(request: Request, site: Site) -> Response:
    return site.pages.page(request, "people/password.html", error="")


async def password_form(request: Request, site: Site) -> Response:
    """Changes the password. Ends all sessions of the account; this browser gets a new one."""
    form, who = await request.form(), session_user(request)
    old, new = _field(form.get("password")), _field(form.get("new"))

    def again(error: str, status: int) -> Response:
        return site.pages.page(request, "people/password.html", status, error=error)

    if new != _field(form.get("again")):
        return again(NOT_TWICE, 400)
    if not accounts.LEAST_CHARACTERS <= len(new) <= accounts.MOST_CHARACTERS:
        return again(LENGTH, 400)
    try:
        if not await login.unlock(site, who, old, request.state.address):
            return again(WRONG_PASSWORD, 403)
        await accounts.run_hashing(partial(accounts.set_password, site.access, who.name, who.name, new))
        token = await login.new_session(site, who, request.state.address)
    except login.TooMany:
        return again(TOO_MANY, 429)
    except accounts.TooManyWaiting:
        return later(again(CROWDED, 503))
    except BadInput:
        return again(WRONG_PASSWORD, 403)
    return set_cookie(RedirectResponse("/", 303), token)


WARN_S = 120  # before a session locks or ends; at most a third of the time until it locks


async def alive(request: Request, site: Site) -> Response:
    """Polled by open pages, so that none outlives its session, and each warns before the end."""
    who = session_user(request)
    warn_s = min(WARN_S, sessions.idle_of(site.settings, who.roles) // 3)
    return JSONResponse({"locks_s": who.locks_s, "ends_s": who.ends_s, "warn_s": warn_s})


async def stay(_request: Request, _site: Site) -> Response:
    """Postpones the lock, as any page does. Sent while a person types, and by the button of the warning."""
    return Response(status_code=204)


ROUTES: tuple[Route, ...] = (
    Route("/login", ("GET",), EVERYBODY, None, login_page, takes=("next",)),
    Route(
        "/login", ("POST",), EVERYBODY, None, login_form, takes=("next", "name", "password"), answers=(303, 403, 429)
    ),
    Route("/unlock", ("GET",), EVERYBODY, None, unlock_page, takes=("next",), answers=(200, 303)),
    Route("/unlock", ("POST",), EVERYBODY, None, unlock_form, takes=("next", "password"), answers=(303, 403, 429)),
    Route("/logout", ("POST",), EVERYBODY, None, logout, answers=(303,)),
    Route("/password", ("GET",), SIGNED_IN, None, password_page),
    Route(
        "/password",
        ("POST",),
        SIGNED_IN,
        None,
        password_form,
        takes=("password", "new", "again"),
        answers=(303, 400, 403, 429),
    ),
    Route("/alive", ("GET",), SIGNED_IN, None, alive, background=True),
    Route("/stay", ("POST",), SIGNED_IN, None, stay, answers=(204,)),
    Route("/oidc", ("GET",), EVERYBODY, None, to_provider, takes=("next",), answers=(302, 404, 503)),
    Route(
        oidc.BACK, ("GET",), EVERYBODY, None, from_provider, takes=("code", "state", "error"), answers=(200, 403, 404)
    ),
)
