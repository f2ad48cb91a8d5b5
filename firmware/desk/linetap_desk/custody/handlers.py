# SPDX-License-Identifier: Apache-2.0
"""The pages of a release, the audio, and the reasons for refusing a step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from urllib.parse import quote

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from linetap_core.errors import LinetapError
from linetap_core.evidence.authorization import citizen
from linetap_desk.custody import sound
from linetap_desk.custody.case import OpenedCall, numbers
from linetap_desk.custody.citizen import masking
from linetap_desk.custody.helperapp import PageTable, app_of, ended
from linetap_desk.custody.site import Site
from linetap_desk.serve.calls import calldetails
from linetap_desk.serve.release import texts as release_texts
from linetap_desk.web.text import N_

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
    "approver_unknown": N_("A signer is not in the roles file."),
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
REFUSAL |= {code: release_texts.REFUSAL[code] for code in (*release_texts.OF_WITNESSES, *release_texts.OF_RULES)}


MOMENT = {"notice": N_("Notice"), "gap": N_("Gap"), "mark": N_("Mark")}
REASON: dict[masking.Reason, str] = {
    "other_person": N_("Another person's voice or data"),
    "others_interest": N_("Others' interests would be harmed (art. 35(4) no. 2)"),
    "by_law": N_("Access is limited by law (art. 35(4) no. 1)"),
}


async def overview(request: Request, site: Site) -> Response:
    return _overview(request, site)


def _overview(request: Request, site: Site, error: LinetapError | None = None) -> Response:
    return site.page(request, "overview.html", 409 if error else 200, error=error, refusal=REFUSAL)


async def call(request: Request, site: Site) -> Response:
    return await _call(request, site)


async def _call(request: Request, site: Site, error: LinetapError | None = None) -> Response:
    call_id = _call_id_of(request, site)
    opened = site.case.opened(call_id)
    try:
        record = opened.record if opened else await to_thread.run_sync(site.case.sealed_record, call_id)
    except LinetapError as fault:
        return _overview(request, site, fault)

    return site.page(
        request, "call.html", 409 if error else 200, error=error, refusal=REFUSAL, call_id=call_id, opened=opened,
        record=record, text_of=site.pages.text_of(request), words=calldetails, moment_words=MOMENT, speeds=sound.SPEEDS,
        clock=_clock, by_passphrase=citizen.BY_PASSPHRASE, by_listening=citizen.BY_LISTENING, reasons=REASON,
        has_number=bool(opened and numbers(opened.record)),
    )  # fmt: skip


async def listen(request: Request, site: Site) -> Response:
    return await _step(request, site, functools.partial(site.case.listen, _call_id_of(request, site)))


async def give(request: Request, site: Site) -> Response:
    return await _step(request, site, functools.partial(site.case.give, _call_id_of(request, site)))


async def mask(request: Request, site: Site) -> Response:
    call_id, form = _call_id_of(request, site), await request.form()
    samples, spans = len(_opened_call(request, site).pcm), site.case.spans

    def step() -> None:
        begin, end, reason = (str(form.get(name, "")) for name in ("from", "to", "reason"))
        spans[call_id] = masking.marked(spans.get(call_id, []), begin, end, reason, samples)

    return await _step(request, site, step, "#masks")


async def unmask(request: Request, site: Site) -> Response:
    call_id, which = _call_id_of(request, site), str((await request.form()).get("first", ""))
    spans = site.case.spans

    def step() -> None:
        spans[call_id] = masking.without(spans.get(call_id, []), which)

    return await _step(request, site, step, "#masks")


async def copy(request: Request, site: Site) -> Response:
    """Shows the passphrase in this one response, which is not cached."""
    call_id = _call_id_of(request, site)
    try:
        made = await to_thread.run_sync(site.case.copy_for_citizen, call_id, site.pages.zone)
    except LinetapError as error:
        return await _call(request, site, error)
    return site.page(request, "sheet.html", call_id=call_id, made=made)


async def hand_on(request: Request, site: Site) -> Response:
    return await _step(request, site, functools.partial(site.case.hand_on, _call_id_of(request, site)))


async def _step(request: Request, site: Site, step: Callable[[], None], place: str = "") -> Response:
    try:
        await to_thread.run_sync(step)
    except LinetapError as error:
        return await _call(request, site, error)
    return RedirectResponse(f"{site.room}/call/{quote(_call_id_of(request, site))}{place}", 303)


async def shape(request: Request, site: Site) -> Response:
    opened = _opened_call(request, site)
    return JSONResponse(
        {
            "samples": len(opened.pcm),
            "began_ms": opened.began_ns // 1_000_000,
            "zone": site.pages.zone.key,
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

    spans = site.case.spans.get(_call_id_of(request, site), []) if request.query_params.get("masked") == "1" else []
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
    return ended(request, site, closed=True)


def _call_id_of(request: Request, site: Site) -> str:
    call_id = str(request.path_params["call_id"])
    if site.case.request.call(call_id) is None:
        raise HTTPException(404)
    return call_id


def _opened_call(request: Request, site: Site) -> OpenedCall:
    opened = site.case.opened(_call_id_of(request, site))
    if opened is None:
        raise HTTPException(404)
    return opened


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


PAGES: PageTable = (
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
    return app_of(site, PAGES)
