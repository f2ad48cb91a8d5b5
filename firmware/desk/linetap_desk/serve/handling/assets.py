# SPDX-License-Identifier: Apache-2.0
"""The static files, and the choice of language and theme. The page of all units has its style sheets inline: a phone
paints the first unit without another round trip."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from linetap_core.clock import S_PER_DAY
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.web import pages, secure, text
from linetap_desk.web.roles import EVERYBODY

_STATIC = StaticFiles(directory=Path(str(files("linetap_desk.serve"))) / "static")
# A search in Korean: nine characters for each letter, and more within the address of a login.
MOST_CHARACTERS = 24_000
_YEAR_S = 365 * S_PER_DAY


async def static(request: Request, _site: Site) -> Response:
    response = await _STATIC.get_response(str(request.path_params["path"]), request.scope)
    response.headers["Cache-Control"] = "no-cache"  # revalidated each time, sent again only if changed
    return response


async def choose(request: Request, _site: Site) -> Response:
    """Stores the choice without scripts: the form returns to the page that it came from."""
    form = await request.form()
    language, theme = form.get("language"), form.get("theme")
    response = RedirectResponse(local_path(form.get("next")), 303)
    if language in text.LANGUAGES:
        _keep(response, pages.LANGUAGE_COOKIE, str(language))
    elif theme in pages.THEMES:
        _keep(response, pages.THEME_COOKIE, str(theme))
    else:
        raise HTTPException(400)
    return response


def local_path(found: object) -> str:
    """A path on this site; "/" for an address that could lead to another site."""
    path = found if isinstance(found, str) else "/"
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe and len(path) <= MOST_CHARACTERS else "/"


def _keep(response: Response, cookie: str, value: str) -> None:
    response.set_cookie(cookie, value, path="/", max_age=_YEAR_S, secure=True, httponly=True, samesite="strict")


ROUTES: tuple[Route, ...] = (
    Route("/look", ("POST",), EVERYBODY, None, choose, takes=("next", "language", "theme"), answers=(303, 400)),
    Route("/static/{path:path}", ("GET",), EVERYBODY, None, static, answers=(200, 304)),
)


_SHEETS = ("base.css", "fleet.css")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def _joined_css() -> str:
    folder = files("linetap_desk.serve").joinpath("static")
    return _COMMENT.sub("", "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _SHEETS))


STYLE = Markup(_joined_css())
POLICY = secure.policy_with_style(STYLE)
