# SPDX-License-Identifier: Apache-2.0
"""The second step of a login, by passkey; and the first password and passkey of an account, by a one-time code."""

from __future__ import annotations

import anyio.to_thread
from sqlalchemy import delete, update
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import rfc3339
from linetap_core.evidence.signing.assertion import PasskeyFault, base64url
from linetap_desk.serve.database.accesslog import DONE, REFUSED, Subject
from linetap_desk.serve.database.tables import people
from linetap_desk.serve.database.tables import sessions as kept
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.handling.site import Route, Site, read_own
from linetap_desk.serve.login import login, routes
from linetap_desk.serve.people import accounts, invitations, passkeys, sessions
from linetap_desk.serve.people.passkeys import Answer, Ceremony
from linetap_desk.web.roles import EVERYBODY
from linetap_desk.web.text import N_

FIRST, NEW = "/first", "/first/passkey"
NOT_YOURS = N_("The passkey was not accepted. Log in again.")
TOO_LATE = N_("That took too long, or was answered already. Log in again.")
WRONG_CODE = N_("The name or the code is wrong, or the code is used up.")
NO_NAME = N_("These pages have no host name (serve.url), so no passkey can be made for them.")


def _token(request: Request) -> str:
    return request.cookies.get(passkeys.COOKIE, "")


def _forget(response: Response) -> Response:
    response.delete_cookie(passkeys.COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return response


async def passkey_page(request: Request, site: Site) -> Response:
    waiting = site.ceremonies.peek(_token(request), site.clock.utc_ns())
    if waiting is None or waiting.invitation:
        return RedirectResponse("/login", 303)

    known = await read_own(site, lambda db: [row.credential for row in passkeys.of_person(db, waiting.person)])
    return site.pages.page(
        request, "people/passkey.html", site=passkeys.site_of(site.settings), challenge=base64url(waiting.challenge),
        credentials=known, name=waiting.name,
    )  # fmt: skip


async def passkey_form(request: Request, site: Site) -> Response:
    form = await request.form()
    waiting = site.ceremonies.pop(_token(request), site.clock.utc_ns())
    if waiting is None or waiting.invitation:
        return _forget(routes.login_answer(request, site, "/", TOO_LATE, 403))
    try:
        entered = await login.by_passkey(site, waiting, _answer(form), request.state.address)
    except PasskeyFault as error:
        await site.access.write(
            waiting.name, request.state.address, "login_passkey", Subject(remark=error.code), REFUSED
        )  # fmt: skip
        return _forget(routes.login_answer(request, site, waiting.there, NOT_YOURS, 403))
    return _forget(routes.set_cookie(RedirectResponse(waiting.there, 303), entered.token))


def _answer(form: FormData) -> Answer:
    return passkeys.answer_of({name: value for name, value in form.items() if isinstance(value, str)})


# --- a new account, and a lost passkey --------------------------------------------------------------------------------


def _first(request: Request, site: Site, error: str = "", status: int = 200) -> Response:
    return site.pages.page(request, "people/first.html", status, error=error)


async def first_page(request: Request, site: Site) -> Response:
    return _first(request, site)


async def first_form(request: Request, site: Site) -> Response:
    form = await request.form()
    name, code, new, again = (str(form.get(field) or "") for field in ("name", "code", "new", "again"))
    name, address, now_ns = name.strip().lower(), request.state.address, site.clock.utc_ns()
    if new != again:
        return _first(request, site, routes.NOT_TWICE, 400)
    if not accounts.LEAST_CHARACTERS <= len(new) <= accounts.MOST_CHARACTERS:
        return _first(request, site, routes.LENGTH, 400)
    try:
        found = await anyio.to_thread.run_sync(_invitation_of, site, name, code, address)
    except login.TooMany:
        return _first(request, site, routes.TOO_MANY, 429)
    if found is None:
        return _first(request, site, WRONG_CODE, 403)
    person, as_of, invitation = found
    try:
        stored = await accounts.hash_password(new)
    except accounts.TooManyWaiting:
        return routes.later(_first(request, site, routes.CROWDED, 503))
    waiting = Ceremony(person, name, "people_first", now_ns, as_of, password=stored, invitation=invitation)
    return routes.set_second(RedirectResponse(NEW, 303), site.ceremonies.begin(waiting))


def _invitation_of(site: Site, name: str, code: str, address: str) -> tuple[int, str, str] | None:
    """The person, the account's last change and the invitation. TooMany: attempts count as those of a login do."""
    with writing(site.own) as db:
        found = accounts.by_name(db, name) if accounts.is_name(name) else None
        known = "" if found is None else name
        attempt = login.begin_attempt(db, name, address, site.clock.utc_ns())
        if attempt.logs:
            site.access.append_in(db, known, address, "login_too_often", Subject(), REFUSED)
        fits = ""
        if attempt.allowed and found is not None and not found.locked:
            fits = invitations.matching_invitation(db, found.id, code, site.clock.utc_ns())
        if attempt.allowed and not fits:
            site.access.append_in(db, known, address, "people_first", Subject(), REFUSED)
    if not attempt.allowed:
        raise login.TooMany
    return (found.id, found.changed_at, fits) if found is not None and fits else None


async def new_page(request: Request, site: Site) -> Response:
    waiting = site.ceremonies.peek(_token(request), site.clock.utc_ns())
    if waiting is None or not waiting.invitation:
        return RedirectResponse(FIRST, 303)
    named = passkeys.site_of(site.settings)
    optional = not await anyio.to_thread.run_sync(_must_have, site, waiting)
    return site.pages.page(
        request, "people/new_passkey.html", site=named, challenge=base64url(waiting.challenge), name=waiting.name,
        optional=optional, error="" if named else NO_NAME,
    )  # fmt: skip


def _must_have(site: Site, waiting: Ceremony) -> bool:
    """Whether a passkey is required: by the policy, or since this one replaces another."""
    with site.own.connect() as db:
        found = accounts.by_name(db, waiting.name)
        return passkeys.has_any(db, waiting.person) or (
            found is not None and passkeys.required(site.settings, found.roles)
        )


async def new_form(request: Request, site: Site) -> Response:
    form = await request.form()
    waiting = site.ceremonies.pop(_token(request), site.clock.utc_ns())
    if waiting is None or not waiting.invitation:
        return _forget(_first(request, site, TOO_LATE, 403))
    try:
        without = form.get("without") == "on" and not await anyio.to_thread.run_sync(_must_have, site, waiting)
        given = None if without else _answer(form)
        token = await anyio.to_thread.run_sync(_finish, site, waiting, given, request.state.address)
    except PasskeyFault as error:
        refused = Subject(remark=error.code)
        await site.access.write(waiting.name, request.state.address, "people_first", refused, REFUSED)
        return _forget(_first(request, site, NOT_YOURS, 403))
    if token is None:
        return _forget(_first(request, site, WRONG_CODE, 403))
    return _forget(routes.set_cookie(RedirectResponse("/", 303), token))


def _finish(site: Site, waiting: Ceremony, given: Answer | None, address: str) -> str | None:
    """Uses up the code, sets password and passkey, ends older sessions and writes the log's row, all in one
    transaction."""
    now_ns = site.clock.utc_ns()
    with writing(site.own) as db:
        if not accounts.is_as_of(db, waiting.person, waiting.as_of):
            return None
        used = invitations.use_up(db, waiting.person, waiting.invitation, now_ns)
        if used is None:
            return None
        if given is not None:
            passkeys.store_passkey(db, site.settings, waiting, given, now_ns)
        mine = people.c.id == waiting.person
        db.execute(update(people).where(mine).values(password=waiting.password, changed_at=rfc3339(now_ns)))
        db.execute(delete(kept).where(kept.c.person == waiting.person))
        act = "people_restored" if used.reason else "people_first"
        both = f"{used.asked_by}, {used.confirmed_by}" if used.reason else used.asked_by
        site.access.append_in(db, waiting.name, address, act, Subject(terms=both, remark=used.reason), DONE)
        login.clear_attempts(db, waiting.name, address)
        return sessions.begin(db, waiting.person, address, site.settings, now_ns)


ROUTES: tuple[Route, ...] = (
    Route(routes.SECOND, ("GET",), EVERYBODY, None, passkey_page, answers=(200, 303)),
    Route(routes.SECOND, ("POST",), EVERYBODY, None, passkey_form, takes=passkeys.FIELDS, answers=(303, 403)),
    Route(FIRST, ("GET",), EVERYBODY, None, first_page),
    Route(
        FIRST,
        ("POST",),
        EVERYBODY,
        None,
        first_form,
        takes=("name", "code", "new", "again"),
        answers=(303, 400, 403, 429),
    ),
    Route(NEW, ("GET",), EVERYBODY, None, new_page, answers=(200, 303)),
    Route(NEW, ("POST",), EVERYBODY, None, new_form, takes=(*passkeys.FIELDS, "point", "without"), answers=(303, 403)),
)
