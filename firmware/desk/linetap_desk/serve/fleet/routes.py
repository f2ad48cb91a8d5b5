# SPDX-License-Identifier: Apache-2.0
"""The fleet page, and its live updates as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import anyio.to_thread
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from linetap_core.clock import NS_PER_S, Clock, from_utc_ns, parse_rfc3339, rfc3339
from linetap_core.records import LineStatus
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, LEDS, PATTERN_NAMES_KO, PATTERNS, SIGNS
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.live.hub import Full, Hub
from linetap_desk.serve.live.journal import AWAY, Reader, event
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.watch.screen import floor_order
from linetap_desk.watch.units import STANDINGS, Standing
from linetap_desk.web import text
from linetap_desk.web.text import N_, Language

STANDING_WORDS: dict[Standing, str] = {
    "fault": N_("Faulty"),
    "unheard": N_("Never connected"),
    "offline": N_("Offline"),
    "late": N_("Late"),
    "warning": N_("Needs attention"),
    "fine": N_("Normal"),
}
STANDING_MEANS: dict[Standing, str] = {
    "fault": N_("it reports that it does not record as it should"),
    "unheard": N_("it is in the register, and the broker has nothing from it"),
    "offline": N_("it is off, or its connection has ended"),
    "late": N_("the broker calls it connected, but its reports do not arrive"),
    "warning": N_("it records, and reports something that needs attention"),
    "fine": N_("it reports, and nothing is wrong"),
}
LINE_WORDS: dict[LineStatus, str] = {
    "idle": N_("free"),
    "ringing": N_("ringing"),
    "dialling": N_("dialling"),
    "notice": N_("notice is playing"),
    "recording": N_("recording"),
    "off_hook": N_("in use, not recorded"),
    "fault": N_("faulty"),
}
# Texts used by the script.
SCRIPT_WORDS = {
    "live": N_("Live since {since}: the desk has everything that the broker has."),
    "stale": N_(
        "Out of date since {since}: the desk has no connection to the broker ({why}). The state below is from that "
        "time."
    ),
    "reading": N_("Out of date since {since}: the desk is connected and is reading the broker's messages."),
    "lost": N_("This page has received nothing from the desk since {since}. The state below is from that time."),
    "paused": N_("Updates paused at {since}. The state below is from that time."),
    "over": N_("The session has ended or is locked. Reload the page."),
    "pause": N_("Pause updates"),
    "resume": N_("Resume updates"),
    "summary": N_("{units} units: {parts}. {calls} calls in progress."),
    "not_shown": N_("Not shown because a limit of the desk was reached: {n} messages."),
    "bad": N_("Not readable and not shown: {n} messages."),
    "times": N_("Times are in {zone} ({name}); those of lines and alerts are by the unit's clock."),
    "unknown": N_("The state of its LEDs is not known."),
    "days": N_("Disk: full in {n} days"),
    "more": N_("and {n} more alerts"),
    "line": N_("Line {n}"),
    "nowhere": N_("Without a building"),
    "floor": N_("floor {n}"),
    "heard": N_("last report {when}"),
    "call": N_("the call"),
    "gone": N_("The broker has nothing from this unit any more."),
}


def fleet_words(gettext: Callable[[str], str], language: Language) -> dict[str, Any]:
    """For templates and script alike; `leds`: state of the legend -> its text, and the LEDs' patterns."""
    patterns = {name: PATTERN_NAMES_KO[name] if language == "ko" else name for name in PATTERNS}
    return {
        "standings": {name: gettext(STANDING_WORDS[name]) for name in STANDINGS},
        "states": {name: {"sign": SIGNS[name][0], "word": gettext(word)} for name, word in LINE_WORDS.items()},
        "conditions": {
            name: {"says": getattr(one, language), "run": one.run, "fault": one.fault}
            for name, one in CONDITIONS.items()
        },
        "activities": {name: {"says": getattr(one, language), "call": one.call} for name, one in ACTIVITIES.items()},
        "patterns": patterns,
        "says": {name: gettext(text) for name, text in SCRIPT_WORDS.items()},
    }


LED_LABELS = {name: led.label for name, led in LEDS.items()}


def buildings(units: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each with its units, floor by floor; those without a building last."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for unit in units:
        found[unit["building"]].append(unit)
    for inside in found.values():
        inside.sort(key=lambda unit: (floor_order(unit["floor"]), unit["unit"]))
    return sorted(found.items(), key=lambda one: (one[0] == "", one[0]))


def counts(units: list[dict[str, Any]]) -> dict[Standing, int]:
    found = Counter(unit["standing"] for unit in units)
    return {standing: found[standing] for standing in STANDINGS}


def fits(unit: dict[str, Any], text: str, standing: str) -> bool:
    """Same rule as `fits` in the script."""
    texts = (unit["unit"], unit["building"], unit["floor"], *(alert["text"] for alert in unit["alerts"]))
    wanted = unit["calls"] > 0 if standing == "calls" else standing in ("", unit["standing"])
    return wanted and text.casefold() in " ".join(texts).casefold()


def local_moment(text: str, zone: ZoneInfo) -> str:
    """A unit's own time in the desk's zone; unchanged if it is no time."""
    try:
        return from_utc_ns(parse_rfc3339(text)).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return text


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


# No auditor: a person with access to data in a month cannot sign its review.
UNITS = frozenset({"watch", "officer", "vault", "custodian"})
CALLS = UNITS - {"watch"}
MOST_CHARACTERS = 80  # of the search text
AGAIN_S = "30"


async def fleet(request: Request, site: Site) -> Response:
    asked = {name: request.query_params.get(name, "")[:MOST_CHARACTERS] for name in ("text", "standing")}
    return await _page(request, site, "fleet/fleet.html", None, asked=asked, means=STANDING_MEANS)


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

    async def changes() -> AsyncIterator[bytes]:
        async for some in event_stream(site.fleet, reader, news, after, partial(site.sessions.still, who), site.clock):
            yield some

    return _Held(changes(), held)


class _Held(StreamingResponse):
    """Releases its place however it ends: a generator that never began would not."""

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
    words = fleet_words(text.words(reader.language).gettext, reader.language)
    context = {
        "id": id,
        "desk": desk,
        "units": units,
        "buildings": buildings(units),
        "counts": counts(units),
        "calls": sum(one["calls"] for one in units),
        "words": words,
        "script_words": msgspec.json.encode(words).decode(),
        "leds": LED_LABELS,
        "away": AWAY,
        "zone": zone.key,
        "zone_name": from_utc_ns(site.clock.utc_ns()).astimezone(zone).tzname(),
        "moment": partial(local_moment, zone=zone),
        "fits": fits,
        "only": only,
    }
    # A thousand units take a while; other streams must not wait meanwhile.
    return await anyio.to_thread.run_sync(partial(site.pages.page, request, template, **context, **more))


def _reader(request: Request, site: Site, only: str | None) -> Reader:
    return Reader(bool(who_of(request).roles & CALLS), site.pages.language(request), only)


@contextlib.asynccontextmanager
async def watched(site: Site) -> AsyncIterator[None]:
    """From the start of the pages to their end."""
    with site.fleet:
        yield


ROUTES: tuple[Route, ...] = (
    Route("/fleet", ("GET",), UNITS, "fleet_view", fleet, menu=N_("Units"), takes=("text", "standing")),
    Route("/fleet/events", ("GET",), UNITS, None, events, background=True, takes=("after", "unit")),
    Route("/fleet/unit/{unit}", ("GET",), UNITS, "unit_view", unit),
)
