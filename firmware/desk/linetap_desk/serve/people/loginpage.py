# SPDX-License-Identifier: Apache-2.0
"""The login page, and the cookie that a login leaves."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from linetap_desk.serve.people import sessions
from linetap_desk.serve.site import Site


def oidc_name(site: Site) -> str:
    return "" if site.settings.oidc is None else site.settings.oidc.name


def login_answer(request: Request, site: Site, there: str, error: str = "", status: int = 200) -> Response:
    return site.pages.page(request, "people/login.html", status, next=there, error=error, oidc=oidc_name(site))


def keep(response: Response, token: str) -> Response:
    """Without an end of its own: it goes with the browser, and the server ends it anyway."""
    response.set_cookie(sessions.COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")
    return response
