# SPDX-License-Identifier: Apache-2.0
"""The common parts of every helper: admission by a code, the session, its end, and the layout of the pages."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from linetap_desk.custody.site import COOKIE, Helper, OwnAddress
from linetap_desk.web import secure
from linetap_desk.web.server import BoundedBodies

Handler = Callable[[Request, Any], Awaitable[Response]]  # the second argument is the Helper
PageTable = Sequence[tuple[str, str, Handler]]  # path below the helper's, method

_SERVE, _OWN = (Path(str(files(f"linetap_desk.{name}"))) / "static" for name in ("serve", "custody"))
_STATIC = dict.fromkeys(("base.css", "icon.svg", "calls.css", "once.js"), _SERVE) | dict.fromkeys(
    ("custody.css", "gone.js", "player.js", "masks.js"), _OWN
)


async def admission(request: Request, site: Helper) -> Response:
    """Admits a browser by the code in a form: a code in a URL would stay in the browser's history."""
    if request.method == "GET":
        return site.page(request, "admission.html", wrong=False, used=site.admission.used)
    if not secure.is_own_origin(request.headers, site.url):
        raise HTTPException(400)
    token = site.admission.enter(str((await request.form()).get("code", "")))
    if not token:
        response = site.page(request, "admission.html", 403, wrong=True, used=site.admission.used)
        if not site.admission.used and site.admission.attempts <= 0:
            response.background = BackgroundTask(site.end)
        return response
    site.touch()
    response = RedirectResponse(f"{site.admission.room}/", 303)
    response.set_cookie(COOKIE, token, path=site.admission.room, httponly=True, samesite="strict")
    return response


async def end(request: Request, site: Helper) -> Response:
    return ended(request, site, closed=False)


def ended(request: Request, site: Helper, closed: bool) -> Response:
    if site.parent is not None:  # its task has ended, and the program continues
        site.end()
        return RedirectResponse(f"{site.admission.room}/", 303)
    request.state.csrf = ""  # a page without further requests
    response = site.page(request, "ended.html", closed=closed)
    response.background = BackgroundTask(site.end)
    return response


async def choose_look(request: Request, site: Helper) -> Response:
    form = await request.form()
    site.pages.choose(form.get("language"), form.get("theme"))
    there = str(form.get("next", ""))
    safe = there.startswith(f"{site.admission.room}/") and there.isprintable() and "\\" not in there
    return RedirectResponse(there if safe else f"{site.admission.room}/", 303)


async def alive(request: Request, site: Helper) -> Response:  # noqa: ARG001
    return PlainTextResponse("")


async def static(request: Request) -> Response:
    """A static file, cached by the browser: the page that reports the helper's end is shown when no server answers."""
    name = str(request.path_params["name"])
    if name not in _STATIC:
        raise HTTPException(404)
    return FileResponse(_STATIC[name] / name, headers={"Cache-Control": "max-age=3600"})


def app_of(site: Helper, pages: PageTable) -> Starlette:
    """The application: the admission, the pages behind it, and the common paths."""
    room = site.admission.room
    everywhere: PageTable = (("/end", "POST", end), ("/look", "POST", choose_look), ("/alive", "GET", alive))
    return Starlette(
        routes=[
            Route("/", _guard(admission, site), methods=["GET", "POST"]),
            Route("/static/{name}", static, methods=["GET"]),
            *(
                Route(room + path, _guard(_require_admission(handler), site), methods=[method])
                for path, method, handler in (*pages, *everywhere)
            ),
        ],
        middleware=[
            Middleware(secure.Headers),
            Middleware(OwnAddress, host=site.url.removeprefix("http://")),
            Middleware(BoundedBodies),
        ],
    )


def _require_admission(handler: Handler) -> Handler:
    """Runs `handler` only for an admitted session and a form of our own page."""

    async def answer(request: Request, site: Helper) -> Response:
        token = request.cookies.get(COOKIE, "")
        if not site.admission.has_admitted(token):
            raise HTTPException(403)
        request.state.csrf = secure.token_of(token)
        if request.method == "POST":
            form = await request.form()
            own = secure.is_own_origin(request.headers, site.url) and secure.is_token(form.get(secure.FIELD), token)
            if not own or not secure.is_text(form):
                raise HTTPException(400)
        if handler is not alive:  # a page polls `alive`
            site.touch()
        return await handler(request, site)

    return answer


def _guard(handler: Handler, site: Helper) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        """Logs only kind and place of an error: a traceback could contain a telephone number."""
        try:
            return await handler(request, site)
        except HTTPException:
            raise
        except ClientDisconnect:  # in the middle of a form
            raise HTTPException(400) from None
        except Exception as error:  # noqa: BLE001 - any exception
            place = traceback.extract_tb(error.__traceback__)[-1]
            sys.stderr.write(f"page_fault: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}\n")
            raise HTTPException(500) from None

    return guarded
