# SPDX-License-Identifier: Apache-2.0
"""Finds calls that are being ended, or have just been ended; all pages of supervisors show them.

Source: the units' signed events, by the desk's time of receipt: a unit's clock may be wrong by decades. It shows unit,
line, place and department, but no number, name, call or situation: these are in *Ended calls*, whose views are logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anyio.to_thread
from sqlalchemy import Connection, or_, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_desk.ingest.outages import DESK
from linetap_desk.ingest.tables import IN_PROGRESS, OF_AN_END, calls, events, outages
from linetap_desk.serve.ended.reviews import seen_by
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.web.roles import SUPERVISORS
from linetap_desk.web.text import N_

# ending: the notice to the caller plays; goes_on: it has played, and the line was not released; ended
State = Literal["ending", "goes_on", "ended"]
SAYS: dict[State, str] = {
    "ending": N_("A call is being ended: {place}, {department}, line {line} ({unit}), since {at}"),
    "goes_on": N_(
        "A call goes on after the announcement of its end, staff have to hang up: {place}, {department}, line {line} "
        "({unit}), {at}"
    ),
    "ended": N_("A call was ended: {place}, {department}, line {line} ({unit}), {at}"),
}
SHOWN_S = 15 * 60  # after an end; for a call in progress after its last step
LONGEST_S = 5 * 3600  # from the first step of an end to the end: longest call, and the recorder's wait
MOST, MOST_READ = 20, 500
_STEPS: Mapping[str, State | None] = {"ending": "ending", "end_refused": "goes_on", "end_cancelled": None}
_AWAY = ("offline", "unheard", "desk")


@dataclass(frozen=True, slots=True)
class Now:
    """A call. `at`: by the unit's clock, or the time of receipt if that clock is wrong."""

    state: State
    unit: str
    line: int
    at: str


def now(db: Connection, now_ns: int) -> list[Now]:
    """The calls, newest first."""
    found = [*_in_progress(db, now_ns), *_ended_calls(db, now_ns)]
    return sorted(found, key=lambda one: one.at, reverse=True)


def _in_progress(db: Connection, now_ns: int) -> list[Now]:
    same = (events.c.unit == calls.c.unit) & (events.c.call_id == calls.c.call_id)
    wanted = select(events).select_from(events.join(calls, same)).where(
        OF_AN_END, events.c.received_at >= rfc3339(now_ns - SHOWN_S * NS_PER_S), IN_PROGRESS
    )  # fmt: skip
    last: dict[tuple[str, str], Any] = {}
    begun: set[tuple[str, str]] = set()
    for row in db.execute(wanted.order_by(events.c.seq)):
        name = row.unit, row.call_id
        begun |= {name} if row.event == "ending" else set()
        if name in begun:  # a code that was refused at once does not end a call
            last[name] = row
    states = ((row, _STEPS[row.event]) for row in last.values())
    return [Now(state, row.unit, row.line or 0, _time(db, row)) for row, state in states if state is not None]


def _ended_calls(db: Connection, now_ns: int) -> list[Now]:
    """The calls whose end was reported. They are found by their steps: DISTINCT would read all events in SQLite."""
    end = events.alias()
    of_call = (calls.c.unit == events.c.unit) & (calls.c.call_id == events.c.call_id)
    of_end = (end.c.unit == events.c.unit) & (end.c.call_id == events.c.call_id)
    wanted = select(end).select_from(events.join(calls, of_call).join(end, of_end)).where(
        OF_AN_END, events.c.received_at >= rfc3339(now_ns - LONGEST_S * NS_PER_S), calls.c.situation.is_not(None),
        end.c.event == "ended", end.c.received_at >= rfc3339(now_ns - SHOWN_S * NS_PER_S),
    ).order_by(end.c.received_at.desc()).limit(MOST_READ)  # fmt: skip
    found = {(row.unit, row.call_id): row for row in db.execute(wanted)}
    rows = [row for row in found.values() if not (_is_far(row) and _was_away(db, row))]  # those are no news
    return [Now("ended", row.unit, row.line or 0, str(row.received_at if _is_far(row) else row.at)) for row in rows]


def _time(db: Connection, row: Any) -> str:
    """The time of an event: of its receipt, if it is far from that and no outage is the reason."""
    return str(row.received_at if _is_far(row) and not _was_away(db, row) else row.at)


def _is_far(row: Any) -> bool:
    return abs(parse_rfc3339(row.received_at) - parse_rfc3339(row.at)) > SHOWN_S * NS_PER_S


def _was_away(db: Connection, row: Any) -> bool:
    """Whether the desk heard nothing of the unit at the time of an event."""
    away = (outages.c.kind.in_(_AWAY), outages.c.unit.in_((row.unit, DESK)), outages.c.began_at <= row.at)
    over = or_(outages.c.ended_at.is_(None), outages.c.ended_at >= row.at)
    return db.execute(select(outages.c.id).where(*away, over).limit(1)).first() is not None


async def ending_calls(request: Request, site: Site) -> list[dict[str, str]]:
    """The calls as lines of text, at most MOST, of departments that the person sees. Empty if the ingest's database
    cannot be read, so that the rest of the page is shown."""
    engine, now_ns, lines = site.ingest_db, site.clock.utc_ns(), site.calls.directory.lines
    if engine is None:
        return []

    def read() -> list[Now]:
        try:
            with site.own.connect() as own:
                sees = seen_by(own, session_user(request))
            with engine.connect() as db:
                found = now(db, now_ns)
        except SQLAlchemyError:
            return []
        return [one for one in found if sees(lines.at_line(one.unit, one.line, parse_rfc3339(one.at))[1])][:MOST]

    found = await anyio.to_thread.run_sync(read)
    return [{"state": one.state, "text": _text(request, site, one)} for one in found]


def _text(request: Request, site: Site, one: Now) -> str:
    def say(msgid: str) -> str:
        return site.pages.translated(request, msgid)

    directory, at_ns = site.calls.directory, parse_rfc3339(one.at)
    place = directory.place(one.unit)
    where = " ".join(part for part in (place.building, place.floor) if part)
    _, department = directory.lines.at_line(one.unit, one.line, at_ns)
    return say(SAYS[one.state]).format(
        place=where or say("Without a building"), department=department or say("No department"), line=one.line,
        unit=one.unit, at=f"{site.pages.local(at_ns):%H:%M:%S}",
    )  # fmt: skip


async def page(request: Request, site: Site) -> Response:
    return JSONResponse(await ending_calls(request, site))


ROUTES: tuple[Route, ...] = (Route("/ended/now", ("GET",), SUPERVISORS, None, page, background=True),)
