# SPDX-License-Identifier: Apache-2.0
"""Checks before every handler: session, role, form token, access log, in this order. And the page of an error."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from linetap_desk.ingest.database import reason
from linetap_desk.serve.database.accesslog import REFUSED, SHOWN, ChainFault, Subject
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.people import sessions
from linetap_desk.serve.people.sessions import SessionUser
from linetap_desk.web import secure
from linetap_desk.web.secure import client_address, page_address_of
from linetap_desk.web.text import N_

TEXTS = {
    400: N_("The form is not from this page, or too old. Go back, reload the page, and try again."),
    401: N_("You are not logged in, or the session is locked."),
    403: N_("Your roles do not allow you to see this."),
    404: N_("There is no such page."),
    405: N_("This page does not accept this kind of request."),
    408: N_("The request was not received completely in time."),
    413: N_("The request is too large."),
    429: N_("Too many attempts. Wait some minutes."),
    500: N_("An error occurred in the desk. It is recorded in the journal."),
    503: N_("The desk cannot read or write the data that this page needs. Nothing is shown."),
}

log = logging.getLogger("linetap.serve")


def error_page(request: Request, error: Exception, site: Site) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(getattr(error, "headers", None) or {})
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(f"{status}\n", status, headers)
    who = getattr(request.state, "who", None)
    response = site.pages.page(
        request, "error.html", status, code=status, text=site.pages.translated(request, TEXTS.get(status, TEXTS[400])),
        again=login_address(page_address_of(request), LOGIN if who is None else UNLOCK),
    )  # fmt: skip
    response.headers.update(headers)
    return response


def log_fault(error: Exception) -> None:
    """Logs only type and place of an error: its text may contain a telephone number."""
    places = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{place.filename.rpartition('/')[2]}:{place.lineno}" for place in reversed(places))
    log.error("page_fault: %s at %s", type(error).__name__, where)


FORM_COOKIE = "__Host-linetap-form"  # the form's token derives from it before there is a session
LOGIN, UNLOCK = "/login", "/unlock"


def login_address(there: str, place: str = LOGIN) -> str:
    """The address of the login or unlock page that returns to `there`."""
    return f"{place}?next={quote(there, safe='')}"


def endpoint(route: Route, site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        """Turns an error into a page: Starlette and uvicorn would log its text, which may contain a telephone
        number."""
        status = 500
        try:
            response = await answer(request)
            status = response.status_code
            if isinstance(response, StreamingResponse):
                response.body_iterator = _until_fault(response.body_iterator)
            return response
        except HTTPException as error:
            status = error.status_code
            raise
        except (SQLAlchemyError, ChainFault) as error:
            text = reason(error) if isinstance(error, SQLAlchemyError) else str(error)
            log.error("desk_database_away: %s; nothing is shown", text)
            status = 503
            raise HTTPException(503) from None
        except ClientDisconnect:  # while a form was read; no error of the desk
            status = 400
            raise HTTPException(400) from None
        except Exception as error:  # noqa: BLE001 - each fault gets a page, without a traceback
            log_fault(error)
            raise HTTPException(500) from None
        finally:
            site.figures.answers[route.path, request.method, status] += 1
            await request.close()  # closes the files of a form

    async def answer(request: Request) -> Response:
        request.state.site = site
        address = request.state.address = client_address(request, site.settings.proxies)
        token = request.cookies.get(sessions.COOKIE, "")
        who = request.state.who = await site.sessions.who(token, acts=not route.background) if token else None
        form = "" if who is not None else request.cookies.get(FORM_COOKIE, "")
        fresh = "" if who is not None or form else secrets.token_urlsafe(32)
        secret = token if who is not None else form or fresh
        request.state.csrf, request.state.draft = secure.form_token(secret), site.draft_key(who)
        if not route.public and (stopped := await _refusal_of(request, route, site, who, address)) is not None:
            return stopped
        if request.method == "POST":
            await _require_own_form(request, site, "" if fresh else secret)
        if route.act is not None:
            await _write(site, who, address, route.act, await route.subject(request))
        response = await route.handler(request, site)
        if fresh and request.method == "GET":
            response.set_cookie(FORM_COOKIE, fresh, path="/", secure=True, httponly=True, samesite="strict")
        return response

    return guarded


class Unfinished(Exception):
    """The response has begun, so an error page is no longer possible: the connection is closed, so that no browser
    treats the part as complete."""


async def _until_fault[T](body: AsyncIterable[T]) -> AsyncIterator[T]:
    try:
        async for part in body:
            yield part
    except Exception as error:  # noqa: BLE001 - uvicorn would log its text, which may contain a number
        log_fault(error)
        raise Unfinished from None


async def _refusal_of(
    request: Request, route: Route, site: Site, who: SessionUser | None, address: str
) -> Response | None:
    """The response to a person without access; None with access."""
    if who is None or who.locked:
        if request.method != "GET" or route.background:
            raise HTTPException(401)
        there = page_address_of(request)
        if sessions.COOKIE not in request.cookies and secure.came_by_link(request.headers):
            return site.pages.page(request, "people/arrived.html", next=there)
        return RedirectResponse(login_address(there, LOGIN if who is None else UNLOCK), 303)
    if not who.roles & route.roles:
        if route.act is not None:
            await _write(site, who, address, route.act, await route.subject(request), REFUSED)
        raise HTTPException(403)
    return None


async def _require_own_form(request: Request, site: Site, secret: str) -> None:
    found: object = request.headers.get(secure.HEADER)
    if found is None:
        found = (await request.form()).get(secure.FIELD)
    own = site.settings.url or ""
    if not secure.is_text(await request.form()):
        raise HTTPException(400)
    if not secret or not secure.is_own_origin(request.headers, own) or not secure.is_token(found, secret):
        raise HTTPException(400, "csrf")


async def _write(
    site: Site, who: SessionUser | None, address: str, act: str, subject: Subject, outcome: str = SHOWN
) -> None:
    """Writes the row of the access log, or raises: without it nothing is shown, and the error becomes a 503."""
    await site.access.write("" if who is None else who.name, address, act, subject, outcome)
