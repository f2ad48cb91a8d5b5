# SPDX-License-Identifier: Apache-2.0
"""The helper's pages, and the audio."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from linetap_core.errors import LinetapError
from linetap_core.evidence.authorization import citizen
from linetap_desk.custody import sound
from linetap_desk.custody.case import OpenedCall, numbers
from linetap_desk.custody.citizen import masking
from linetap_desk.custody.site import COOKIE, Helper, OwnAddress, Site
from linetap_desk.serve.calls import story as callwords
from linetap_desk.serve.release import steps as release
from linetap_desk.web import secure
from linetap_desk.web.server import Bounded
from linetap_desk.web.text import N_

MOMENT = {"notice": N_("Notice"), "gap": N_("Gap"), "mark": N_("Mark")}
REASON: dict[masking.Reason, str] = {
    "other_person": N_("Another person's voice or data"),
    "others_interest": N_("Others' interests would be harmed (art. 35(4) no. 2)"),
    "by_law": N_("Access is limited by law (art. 35(4) no. 1)"),
}
REFUSAL = {
    "request_expired": N_("The request has expired. A new one is needed."),
    "request_not_yet": N_("The request's time is in the future: this computer's clock may be wrong."),
    "request_closed": N_("The request is closed."),
    "recipient_differs": N_(
        "The key in the request is not the requester's key that you named. Nothing was handed over."
    ),
    "record_differs": N_("The record is not the one that was approved."),
    "call_not_as_sealed": N_("The call in the package is not as a known unit sealed it. Nothing was opened."),
    "closing_needed": N_(
        "There is no proof that this call is in the unit's log. Start again with --log and the unit's log."
    ),
    "closing_differs": N_("The proof that the unit's log has closed this call is invalid."),
    "signers_needed": N_("There is no published allowed_signers here: --signers."),
    "call_not_named": N_("The request does not name this call."),
    "approval_does_not_fit": N_("The request was changed after it was approved."),
    "approvals_missing": N_("The approvals of two people of different roles are needed."),
    "approver_unknown": N_("Someone signed who is not in the roles file."),
    "key_of_another_call": N_("The sealed key, or the file handed on, belongs to another call. Nothing was opened."),
    "group_members_missing": N_(
        "The custodians are a group, and more of them are needed. Remove your layer and hand the rest on to the next "
        "custodian."
    ),
    "not_a_citizens": N_("This request is not for a citizen's access. No copy was made."),
    "copy_not_approved": N_("Listening was approved, and no copy under a passphrase. No copy was made."),
    "call_of_another": N_("The number of this call is not the one that the citizen gave. The call stays closed."),
    "access_log_busy": N_("Another command is using the access log. Try again."),
}
REFUSAL |= {code: release.REFUSAL[code] for code in (*release.OF_WITNESSES, *release.OF_RULES)}


_SERVE, _OWN = (Path(str(files(f"linetap_desk.{name}"))) / "static" for name in ("serve", "custody"))
_STATIC = dict.fromkeys(("base.css", "icon.svg", "calls.css"), _SERVE) | dict.fromkeys(
    ("custody.css", "gone.js", "player.js", "masks.js"), _OWN
)


async def door(request: Request, site: Helper) -> Response:
    """The code is typed into a form: in a URL it would stay in the browser's history."""
    if request.method == "GET":
        return site.page(request, "door.html", wrong=False, used=site.door.used)
    if not secure.is_own_origin(request.headers, site.url):
        raise HTTPException(400)
    token = site.door.enter(str((await request.form()).get("code", "")))
    if not token:
        response = site.page(request, "door.html", 403, wrong=True, used=site.door.used)
        if not site.door.used and site.door.attempts <= 0:
            response.background = BackgroundTask(site.end)
        return response
    site.touch()
    response = RedirectResponse(f"{site.door.room}/", 303)
    response.set_cookie(COOKIE, token, path=site.door.room, httponly=True, samesite="strict")
    return response


async def overview(request: Request, site: Site) -> Response:
    return _overview(request, site)


def _overview(request: Request, site: Site, error: LinetapError | None = None) -> Response:
    return site.page(request, "overview.html", 409 if error else 200, error=error, refusal=REFUSAL)


async def call(request: Request, site: Site) -> Response:
    return await _call(request, site)


async def _call(request: Request, site: Site, error: LinetapError | None = None) -> Response:
    call_id = _named(request, site)
    opened = site.case.opened(call_id)
    try:
        record = opened.record if opened else await to_thread.run_sync(site.case.sealed_record, call_id)
    except LinetapError as fault:
        return _overview(request, site, fault)

    def text_of(table: Mapping[str, str], code: str | None) -> str:
        word = table.get(code or "")
        return code or "" if word is None else site.look.translated(request, word)

    return site.page(
        request, "call.html", 409 if error else 200, error=error, refusal=REFUSAL, call_id=call_id, opened=opened,
        record=record, text_of=text_of, words=callwords, moment_words=MOMENT, speeds=sound.SPEEDS, clock=_clock,
        by_passphrase=citizen.BY_PASSPHRASE, by_listening=citizen.BY_LISTENING, reasons=REASON,
        has_number=bool(opened and numbers(opened.record)),
    )  # fmt: skip


async def listen(request: Request, site: Site) -> Response:
    return await _step(request, site, functools.partial(site.case.listen, _named(request, site)))


async def give(request: Request, site: Site) -> Response:
    return await _step(request, site, functools.partial(site.case.give, _named(request, site)))


async def mask(request: Request, site: Site) -> Response:
    call_id, form = _named(request, site), await request.form()
    samples, spans = len(_opened_call(request, site).pcm), site.case.spans

    def step() -> None:
        begin, end, reason = (str(form.get(name, "")) for name in ("from", "to", "reason"))
        spans[call_id] = masking.marked(spans.get(call_id, []), begin, end, reason, samples)

    return await _step(request, site, step, "#masks")


async def unmask(request: Request, site: Site) -> Response:
    call_id, which = _named(request, site), str((await request.form()).get("first", ""))
    spans = site.case.spans

    def step() -> None:
        spans[call_id] = masking.without(spans.get(call_id, []), which)

    return await _step(request, site, step, "#masks")


async def copy(request: Request, site: Site) -> Response:
    """The passphrase is on this one answer, which no cache keeps."""
    call_id = _named(request, site)
    try:
        made = await to_thread.run_sync(site.case.copy_for_citizen, call_id, site.look.zone)
    except LinetapError as error:
        return await _call(request, site, error)
    return site.page(request, "sheet.html", call_id=call_id, made=made)


async def hand_on(request: Request, site: Site) -> Response:
    return await _step(request, site, functools.partial(site.case.hand_on, _named(request, site)))


async def _step(request: Request, site: Site, step: Callable[[], None], place: str = "") -> Response:
    try:
        await to_thread.run_sync(step)
    except LinetapError as error:
        return await _call(request, site, error)
    return RedirectResponse(f"{site.room}/call/{quote(_named(request, site))}{place}", 303)


async def shape(request: Request, site: Site) -> Response:
    opened = _opened_call(request, site)
    return JSONResponse(
        {
            "samples": len(opened.pcm),
            "began_ms": opened.began_ns // 1_000_000,
            "zone": site.look.zone.key,
            "peaks": opened.peaks,
            "moments": [{"kind": one.kind, "from": one.from_s, "to": one.to_s} for one in opened.moments],
        }
    )


async def play(request: Request, site: Site) -> Response:
    opened = _opened_call(request, site)
    try:
        first, speed = int(request.query_params["from"]), float(request.query_params["speed"])
    except (KeyError, ValueError):
        raise HTTPException(400) from None
    if not 0 <= first <= len(opened.pcm) or speed not in sound.SPEEDS:
        raise HTTPException(400)

    spans = site.case.spans.get(_named(request, site), []) if request.query_params.get("masked") == "1" else []
    pcm = masking.masked(opened.pcm, spans) if spans else opened.pcm

    def blocks() -> Iterator[bytes]:
        for block in sound.played(pcm, first, speed):
            site.touch()  # listening postpones the idle end
            yield block

    return StreamingResponse(blocks(), media_type="application/octet-stream")


async def bundle(request: Request, site: Site) -> Response:
    try:
        await to_thread.run_sync(site.case.bundle)
    except LinetapError as error:
        return _overview(request, site, error)
    return RedirectResponse(f"{site.room}/", 303)


async def close(request: Request, site: Site) -> Response:
    try:
        await to_thread.run_sync(site.case.close)
    except LinetapError as error:
        return _overview(request, site, error)
    return _ended(request, site, closed=True)


async def end(request: Request, site: Helper) -> Response:
    return _ended(request, site, closed=False)


def _ended(request: Request, site: Helper, closed: bool) -> Response:
    if site.within is not None:  # its task has ended, and the program goes on
        site.end()
        return RedirectResponse(f"{site.door.room}/", 303)
    request.state.csrf = ""  # a page without further requests
    response = site.page(request, "ended.html", closed=closed)
    response.background = BackgroundTask(site.end)
    return response


async def look(request: Request, site: Helper) -> Response:
    form = await request.form()
    site.look.choose(form.get("language"), form.get("theme"))
    there = str(form.get("next", ""))
    safe = there.startswith(f"{site.door.room}/") and there.isprintable() and "\\" not in there
    return RedirectResponse(there if safe else f"{site.door.room}/", 303)


async def alive(request: Request, site: Helper) -> Response:  # noqa: ARG001
    return PlainTextResponse("")


async def static(request: Request) -> Response:
    """Cached by the browser: the page that reports the helper's end is shown when no server answers."""
    name = str(request.path_params["name"])
    if name not in _STATIC:
        raise HTTPException(404)
    return FileResponse(_STATIC[name] / name, headers={"Cache-Control": "max-age=3600"})


def _named(request: Request, site: Site) -> str:
    call_id = str(request.path_params["call_id"])
    if site.case.request.call(call_id) is None:
        raise HTTPException(404)
    return call_id


def _opened_call(request: Request, site: Site) -> OpenedCall:
    opened = site.case.opened(_named(request, site))
    if opened is None:
        raise HTTPException(404)
    return opened


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


Handler = Callable[[Request, Any], Awaitable[Response]]  # the second: the Helper of its pages
Inside = Sequence[tuple[str, str, Handler]]  # path below the room, method


INSIDE: Inside = (
    ("/", "GET", overview),
    ("/call/{call_id}", "GET", call),
    ("/call/{call_id}/listen", "POST", listen),
    ("/call/{call_id}/give", "POST", give),
    ("/call/{call_id}/hand-on", "POST", hand_on),
    ("/call/{call_id}/mask", "POST", mask),
    ("/call/{call_id}/unmask", "POST", unmask),
    ("/call/{call_id}/copy", "POST", copy),
    ("/call/{call_id}/sound.json", "GET", shape),
    ("/call/{call_id}/sound", "GET", play),
    ("/bundle", "POST", bundle),
    ("/close", "POST", close),
)


def make_app(site: Site) -> Starlette:
    return app_of(site, INSIDE)


def app_of(site: Helper, inside: Inside) -> Starlette:
    """The door, the pages behind it, and what every helper has."""
    room = site.door.room
    everywhere: Inside = (("/end", "POST", end), ("/look", "POST", look), ("/alive", "GET", alive))
    return Starlette(
        routes=[
            Route("/", _guarded(door, site), methods=["GET", "POST"]),
            Route("/static/{name}", static, methods=["GET"]),
            *(
                Route(room + path, _guarded(_inside(handler), site), methods=[method])
                for path, method, handler in (*inside, *everywhere)
            ),
        ],
        middleware=[
            Middleware(secure.Headers),
            Middleware(OwnAddress, host=site.url.removeprefix("http://")),
            Middleware(Bounded),
        ],
    )


def _inside(handler: Handler) -> Handler:
    """`handler` for a session that was admitted, and a form of our own page."""

    async def answer(request: Request, site: Helper) -> Response:
        token = request.cookies.get(COOKIE, "")
        if not site.door.has_admitted(token):
            raise HTTPException(403)
        request.state.csrf = secure.token_of(token)
        if request.method == "POST":
            form = await request.form()
            own = secure.is_own_origin(request.headers, site.url) and secure.is_token(form.get(secure.FIELD), token)
            if not own or not secure.is_text(form):
                raise HTTPException(400)
        if handler is not alive:  # which a page polls
            site.touch()
        return await handler(request, site)

    return answer


def _guarded(handler: Handler, site: Helper) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        """A traceback could contain a telephone number: kind and place are enough."""
        try:
            return await handler(request, site)
        except HTTPException:
            raise
        except ClientDisconnect:  # in the middle of a form
            raise HTTPException(400) from None
        except Exception as error:  # noqa: BLE001 - whatever it is
            place = traceback.extract_tb(error.__traceback__)[-1]
            sys.stderr.write(f"page_fault: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}\n")
            raise HTTPException(500) from None

    return guarded
