# SPDX-License-Identifier: Apache-2.0
"""The fleet page, and its live updates as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import anyio.to_thread
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from linetap_core.clock import NS_PER_S, Clock, from_utc_ns, rfc3339
from linetap_desk.serve import text
from linetap_desk.serve.fleet import page
from linetap_desk.serve.fleet.hub import Full, Hub
from linetap_desk.serve.fleet.journal import Reader, event
from linetap_desk.serve.fleet.picture import AWAY
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.serve.route import Route
from linetap_desk.serve.site import Site
from linetap_desk.serve.text import N_

BEAT_S = 5
RETRY_MS = 1000
MOST_AT_ONCE = 500  # events in a write


async def event_stream(
    hub: Hub, reader: Reader, news: asyncio.Event, after: int | None, still: Callable[[], Awaitable[bool]], clock: Clock
) -> AsyncIterator[bytes]:
    """Changes as they happen, and a beat every BEAT_S: an event, since a page's script does not see comments.

    Ends when the reader leaves, or when `still`, asked at each beat, denies access. `after`: the last number they have;
    None, or older than the journal: they get a snapshot. A slow reader delays only its own stream.
    """
    yield f"retry: {RETRY_MS}\n\n".encode()
    beat_ns = 0
    while not hub.leaving:
        if clock.monotonic_ns() >= beat_ns:
            if not await still():
                yield event("over", {})
                return
            yield event("beat", {"at": rfc3339(clock.utc_ns())})
            beat_ns = clock.monotonic_ns() + BEAT_S * NS_PER_S
        news.clear()
        entries = None if after is None else hub.after(after)
        if entries is None:
            after, snapshot = hub.snapshot(reader)
            yield snapshot
        elif entries:
            some = entries[:MOST_AT_ONCE]
            after = some[-1].number
            if data := b"".join(hub.event(entry, reader) for entry in some):
                yield data
        else:
            left_s = max(0.0, (beat_ns - clock.monotonic_ns()) / NS_PER_S)
            try:
                async with asyncio.timeout(left_s):
                    await news.wait()
            except TimeoutError:
                continue


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
    """Last-Event-ID takes precedence over `after`: a browser that reconnects repeats the old URL."""
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
        async for some in event_stream(site.fleet, reader, news, after, partial(site.sessions.still, who), site.clock):
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
