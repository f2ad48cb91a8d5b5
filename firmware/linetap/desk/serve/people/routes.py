# SPDX-License-Identifier: Apache-2.0
"""Login, logout, and a session that wants the password again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from linetap.desk.serve.route import EVERYBODY, Route
from linetap.desk.serve.site import Site


async def login(request: Request, site: Site) -> Response:
    return site.pages.page(request, "people/login.html")


ROUTES: tuple[Route, ...] = (Route("/login", ("GET",), EVERYBODY, None, login),)
