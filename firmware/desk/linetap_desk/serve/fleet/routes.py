# SPDX-License-Identifier: Apache-2.0
"""The fleet's pages, and the stream that keeps them true.

Who sees units: whoever watches, answers for calls, holds them or checks the desk. An approver decides by what a request
says and has no part in it. Which call a line is in is told to those alone who may look at calls.

A page shows which line is in use now, so its opening is a view in the access log, with the unit where it is one. What
the stream tells a page that is open is not written: it stands there who has opened it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio.to_thread
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from linetap_core.clock import from_utc_ns
from linetap_desk.serve import text
from linetap_desk.serve.fleet import page, stream
from linetap_desk.serve.fleet.hub import Full
from linetap_desk.serve.fleet.journal import Reader
from linetap_desk.serve.fleet.picture import AWAY
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.serve.route import Route
from linetap_desk.serve.site import Site
from linetap_desk.serve.text import N_

# No auditor: who has seen something in a month cannot sign its review.
UNITS = frozenset({"watch", "officer", "vault", "custodian"})
CALLS = UNITS - {"watch"}
MOST_CHARACTERS = 80  # of what is asked for
AGAIN_S = "30"


async def fleet(request: Request, site: Site) -> Response:
    asked = {name: request.query_params.get(name, "")[:MOST_CHARACTERS] for name in ("text", "standing")}
    return await _page(request, site, "fleet/fleet.html", None, asked=asked, means=page.STANDING_MEANS)


async def unit(request: Request, site: Site) -> Response:
    return await _page(request, site, "fleet/unit.html", str(request.path_params["unit"]))


async def events(request: Request, site: Site) -> Response:
    """Last-Event-ID counts for more than `after`: a browser that comes back by itself asks with the old URL."""
    query = request.query_params
    id = request.headers.get("last-event-id") or query.get("after", "")
    reader, who = _reader(request, site, query.get("unit")), who_of(request)
    held = contextlib.ExitStack()
    try:
        news = held.enter_context(site.fleet.woken(who.session))
    except Full:
        raise HTTPException(503, headers={"Retry-After": AGAIN_S}) from None
    after = site.fleet.number_of(id)

    async def told() -> AsyncIterator[bytes]:
        async for some in stream.events(site.fleet, reader, news, after, partial(site.sessions.still, who), site.clock):
            yield some

    return _Held(told(), held)


class _Held(StreamingResponse):
    """Lets go of its place however it ends: a generator that was never begun would not."""

    def __init__(self, content: AsyncIterator[bytes], held: contextlib.ExitStack) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._held = held

    async def __call__(self, *where: Any) -> None:
        with self._held:
            await super().__call__(*where)


async def _page(request: Request, site: Site, template: str, only: str | None, **more: Any) -> Response:
    reader = _reader(request, site, only)
    id, desk, units = site.fleet.seen(reader)
    if only is not None and not units:
        raise HTTPException(404)
    zone = site.pages.zone
    words = page.words(text.words(reader.language).gettext, reader.language)
    context = {
        "id": id,
        "desk": desk,
        "units": units,
        "buildings": page.buildings(units),
        "counts": page.counts(units),
        "calls": sum(one["calls"] for one in units),
        "words": words,
        "script_words": msgspec.json.encode(words).decode(),
        "leds": page.LED_LABELS,
        "away": AWAY,
        "zone": zone.key,
        "zone_name": from_utc_ns(site.clock.utc_ns()).astimezone(zone).tzname(),
        "moment": partial(page.moment, zone=zone),
        "fits": page.fits,
        "only": only,
    }
    # A thousand units take a while, in which nobody else's stream should stand still.
    return await anyio.to_thread.run_sync(partial(site.pages.page, request, template, **context, **more))


def _reader(request: Request, site: Site, only: str | None) -> Reader:
    return Reader(bool(who_of(request).roles & CALLS), site.pages.language(request), only)


@contextlib.asynccontextmanager
async def watched(site: Site) -> AsyncIterator[None]:
    """From the start of the pages to their end."""
    with site.fleet:
        yield


ROUTES: tuple[Route, ...] = (
    Route("/fleet", ("GET",), UNITS, "view", fleet, menu=N_("Units"), takes=("text", "standing")),
    Route("/fleet/events", ("GET",), UNITS, None, events, background=True, takes=("after", "unit")),
    Route("/fleet/unit/{unit}", ("GET",), UNITS, "view", unit),
)
