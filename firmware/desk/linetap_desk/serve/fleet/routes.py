# SPDX-License-Identifier: Apache-2.0
"""The fleet page, and its live updates as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any
from unicodedata import normalize

import msgspec
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.zones import local_time
from linetap_desk.serve.database.accesslog import has_number
from linetap_desk.serve.fleet.outages import KINDS, Outage, history, why_of
from linetap_desk.serve.fleet.shiftlog import UNITS
from linetap_desk.serve.fleet.words import (
    LED_LABELS,
    SCRIPT_WORDS,
    STANDING_MEANS,
    fleet_words,
    length,
    local_moment,
    short_moment,
    since,
)
from linetap_desk.serve.handling import assets
from linetap_desk.serve.handling.site import Route, Site, read_ingest
from linetap_desk.serve.live.hub import Hub, TooManyStreams
from linetap_desk.serve.live.journal import Reader, event
from linetap_desk.serve.live.tiles import LineTiles
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release.common import require_call_name
from linetap_desk.watch.units import AWAY, STANDINGS, Standing
from linetap_desk.web import text
from linetap_desk.web.roles import WATCH
from linetap_desk.web.text import N_


def worst_first(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The units by standing, unacknowledged ones first, then by place. Same order as `before` in the script."""
    return sorted(units, key=lambda one: (STANDINGS.index(one["standing"]), one["seen"] is not None, one["order"]))


def counts(units: list[dict[str, Any]]) -> dict[Standing, int]:
    found = Counter(unit["standing"] for unit in units)
    return {standing: found[standing] for standing in STANDINGS}


def sums(units: list[dict[str, Any]], words: dict[str, Any]) -> str:
    """The number of well units by building, which a phone shows instead of tiles. Same as `sums` in the script."""
    found = Counter(one["building"] or words["says"]["nowhere"] for one in units if one["standing"] == "fine")
    return f"{words['standings']['fine']}: " + ", ".join(f"{name} {n}" for name, n in found.items()) if found else ""


def fits(unit: dict[str, Any], text: str, standing: str) -> bool:
    """Whether the unit matches the filter. Same rule as `fits` in the script."""
    texts = (unit["unit"], unit["building"], unit["floor"], *(alert["text"] for alert in unit["alerts"]))
    match standing:
        case "calls":
            wanted = unit["calls"] > 0
        case "wrong":
            wanted = unit["standing"] != "fine"
        case _:
            wanted = standing in ("", unit["standing"])
    return wanted and normalize("NFC", text).casefold() in normalize("NFC", " ".join(texts)).casefold()


def in_script(words: Mapping[str, Any]) -> Markup:
    """The words as JSON that cannot end the page's script element."""
    return Markup(msgspec.json.encode(words).decode().replace("<", "\\u003c"))


BEAT_S = 5
RETRY_MS = 1000
MOST_AT_ONCE = 500  # events in a write
PIECE_BYTES = 1 << 13  # of a write: OpenSSL keeps the largest buffer while a connection is open


async def event_stream(
    hub: Hub, reader: Reader, news: asyncio.Event, after: int | None, still: Callable[[], Awaitable[bool]], clock: Clock
) -> AsyncIterator[bytes]:
    """Sends changes as they happen, and a beat every BEAT_S as an event, since scripts do not see comments.

    Ends when the reader leaves, or when `still`, called at each beat, denies access. `after`: the reader's last number;
    None, or older than the journal: a snapshot is sent first. A slow reader delays only its own stream.
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
        found = None if after is None else hub.encoded_changes(after, reader, MOST_AT_ONCE)
        if found is None:
            after, snapshot = hub.snapshot(reader)
            for piece in pieces(snapshot):  # each waits until the previous one is sent
                yield piece
        elif found[0] != after:
            after, data = found
            if data:
                for piece in pieces(data):
                    yield piece
                await asyncio.sleep(_until_next(hub.pause_s(), clock))
        else:
            left_s = max(0.0, (beat_ns - clock.monotonic_ns()) / NS_PER_S)
            try:
                async with asyncio.timeout(left_s):
                    await news.wait()
            except TimeoutError:
                continue


def pieces(data: bytes) -> Iterator[bytes]:
    for begin in range(0, len(data), PIECE_BYTES):
        yield data[begin : begin + PIECE_BYTES]


def _until_next(pause_s: float, clock: Clock) -> float:
    """Seconds until the next time of writing, which is the same for all readers."""
    return pause_s - clock.monotonic_ns() / NS_PER_S % pause_s if pause_s else 0.0


# No auditor: a person with access to data in a month cannot sign that month's review.
CALLS = UNITS - WATCH
MOST_CHARACTERS = 80  # of the search text
AGAIN_S = "30"


async def fleet(request: Request, site: Site) -> Response:
    asked = {name: request.query_params.get(name, "")[:MOST_CHARACTERS] for name in ("text", "standing")}
    context = _context(request, site, None, asked=asked, means=STANDING_MEANS, style=assets.STYLE)
    found = context["units"]
    context["none_fits"] = bool(found) and not any(fits(one, asked["text"], asked["standing"]) for one in found)
    # Each part in a thread: rendering a thousand units takes long, and other streams must not wait.
    page = site.pages.page_in_parts(request, "fleet/fleet.html", **context)
    page.headers["Content-Security-Policy"] = assets.POLICY
    return page


async def unit(request: Request, site: Site) -> Response:
    name = str(request.path_params["unit"])
    require_call_name(name, "")
    language = site.pages.language(request)
    found: list[Outage] | None = []
    if site.ingest_db is not None and not has_number(name):  # SQLAlchemy caches the first values of a statement
        try:
            found = await read_ingest(site, lambda db: history(db, name, site.clock))
        except HTTPException:  # the unit's state is shown nevertheless
            found = None
    says = {key: text.words(language).gettext(word) for key, word in SCRIPT_WORDS.items()}
    whys = why_of(found or (), language)
    context = _context(
        request, site, name, outages=found, kinds=KINDS, whys=whys, length=partial(length, says),
        configuration=site.fleet.configuration_of(name),
    )  # fmt: skip
    return site.pages.page(request, "fleet/unit.html", **context)


async def events(request: Request, site: Site) -> Response:
    """The stream. Last-Event-ID takes precedence over `after`: a reconnecting browser repeats the old URL."""
    query = request.query_params
    id = request.headers.get("last-event-id") or query.get("after", "")
    reader, who = _reader(request, site, query.get("unit")), session_user(request)
    held = contextlib.ExitStack()
    try:
        news = held.enter_context(site.fleet.subscribe(who.session))
    except TooManyStreams:
        raise HTTPException(503, headers={"Retry-After": AGAIN_S}) from None
    after = site.fleet.number_of(id)

    async def changes() -> AsyncIterator[bytes]:
        async for some in event_stream(site.fleet, reader, news, after, partial(site.sessions.still, who), site.clock):
            yield some

    return _Held(changes(), held)


class _Held(StreamingResponse):
    """A response that releases its place however it ends: a generator that never started would not."""

    def __init__(self, content: AsyncIterator[bytes], held: contextlib.ExitStack) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._held = held

    async def __call__(self, *where: Any) -> None:
        with self._held:
            await super().__call__(*where)


def _context(request: Request, site: Site, only: str | None, **more: Any) -> dict[str, Any]:
    """The template's values for all units, or for one. HTTPException 404 for an unknown unit."""
    reader = _reader(request, site, only)
    id, desk, units = site.fleet.state(reader)
    if only is not None and not units:
        raise HTTPException(404)
    zone, now_ns = site.pages.zone, site.clock.utc_ns()
    words = fleet_words(text.words(reader.language).gettext, reader.language)
    units = worst_first(units)
    return {
        "id": id,
        "desk": desk,
        "units": units,
        "wrong": [one for one in units if one["standing"] != "fine"],
        "well": [one for one in units if one["standing"] == "fine"],
        "counts": counts(units),
        "calls": sum(one["calls"] for one in units),
        "busy": sum(one["calls"] > 0 for one in units),
        "sums": sums(units, words),
        "words": words,
        "script_words": in_script(words),
        "leds": LED_LABELS,
        "away": AWAY,
        "zone": zone.key,
        "zone_name": local_time(now_ns, zone).tzname(),
        "moment": partial(local_moment, zone=zone),
        "shortly": partial(short_moment, zone=zone, now_ns=now_ns),
        "since": partial(since, words["says"], zone=zone, now_ns=now_ns),
        "fits": fits,
        "alike": LineTiles(),
        "well_tile": partial(site.tiles.well_tile, reader.language),
        "only": only,
        **more,
    }


def _reader(request: Request, site: Site, only: str | None) -> Reader:
    """The reader. A reader of one unit also gets the call of each line; readers of all units share the same bytes."""
    return Reader(only is not None and bool(session_user(request).roles & CALLS), site.pages.language(request), only)


@contextlib.asynccontextmanager
async def lifespan(site: Site) -> AsyncIterator[None]:
    """Runs the watcher while the pages are served."""
    with site.fleet:
        yield


ROUTES: tuple[Route, ...] = (
    Route("/fleet", ("GET",), UNITS, "fleet_view", fleet, menu=N_("Units"), takes=("text", "standing")),
    Route("/fleet/events", ("GET",), UNITS, None, events, background=True, takes=("after", "unit")),
    Route("/fleet/unit/{unit}", ("GET",), UNITS, "unit_view", unit),
)
