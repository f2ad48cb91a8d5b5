# SPDX-License-Identifier: Apache-2.0
"""The first page: the person's tasks, and the units with faults. A person who may only watch is sent to the wall.

It shows numbers and units but no call, so its views are not logged; views of the lists behind the numbers are logged.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_desk.protection.figures import seat_of
from linetap_desk.serve.citizen import steps as citizensteps
from linetap_desk.serve.citizen import store as citizens
from linetap_desk.serve.database.tables import adoptions
from linetap_desk.serve.ended import endingcalls, reviews
from linetap_desk.serve.ended.reviews import seen_by
from linetap_desk.serve.fleet import routes as fleet
from linetap_desk.serve.fleet.shiftlog import UNITS
from linetap_desk.serve.fleet.words import STANDING_WORDS
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.live.journal import Reader
from linetap_desk.serve.people.sessions import SessionUser, session_user
from linetap_desk.serve.release import store, views
from linetap_desk.serve.review import review
from linetap_desk.web.roles import AUDITOR, OFFICER, RELEASES, SIGNED_IN, SUPERVISORS, VAULT, WATCH
from linetap_desk.web.text import N_

MOST_SHOWN = 6  # units


@dataclass(frozen=True, slots=True)
class Task:
    """A task with its number of items. `says`: a msgid."""

    says: str
    count: int
    path: str


async def page(request: Request, site: Site) -> Response:
    who = session_user(request)
    if who.roles == WATCH:
        return RedirectResponse("/fleet", 303)
    tasks = await anyio.to_thread.run_sync(_tasks, site, who)
    ends = await endingcalls.ending_calls(request, site) if who.roles & SUPERVISORS else []
    wrong = None
    if who.roles & UNITS:
        _, _, units = site.fleet.state(Reader(False, site.pages.language(request)))
        wrong = fleet.worst_first([one for one in units if one["cause"] is not None])
    return site.pages.page(
        request, "home.html", tasks=tasks, ends=ends, wrong=wrong, most=MOST_SHOWN, standings=STANDING_WORDS,
    )  # fmt: skip


def _tasks(site: Site, who: SessionUser) -> list[Task]:
    """The tasks with waiting items."""
    now_ns = site.clock.utc_ns()
    found: list[Task] = []
    with site.own.connect() as db:
        if who.roles & RELEASES:
            mine = views.requests_of(db, now_ns, lambda one: one.is_for(who.name, who.roles, now_ns))
            found.append(_task(N_("Releases: a step of yours"), "/release", [one.row["id"] for one in mine.rows]))
        if who.roles & VAULT:
            found.append(Task(N_("Holds that may need your step"), _holds(db, who.name, now_ns), "/release"))
        if who.roles & citizensteps.SEES - AUDITOR:
            opened = [one.id for one in citizens.open_requests(db)]
            found.append(_task(N_("Access requests that are open"), "/citizen", opened))
        if who.roles & SUPERVISORS:
            due = [f"call/{unit}/{call_id}" for unit, call_id in _ended_calls(site, db, who, now_ns)]
            found.append(_task(N_("Ended calls without a review"), "/ended", due))
        if who.roles & OFFICER:
            waiting = select(func.count()).select_from(adoptions).where(adoptions.c.closed_at.is_(None))
            found.append(Task(N_("New units that are not finished"), db.execute(waiting).scalar() or 0, "/adoption"))
        if who.roles & AUDITOR:
            months, signed = review.months(db, site.pages, now_ns), review.signed(db)
            over = [month for month in months[1:] if month not in signed]
            found.append(_task(N_("Months whose review is not signed"), "/review", over))
    return [one for one in found if one.count]


def _task(says: str, path: str, waiting: list[str]) -> Task:
    """A task's link: to a single item itself, otherwise to the list."""
    return Task(says, len(waiting), f"{path}/{waiting[0]}" if len(waiting) == 1 else path)


def _ended_calls(site: Site, db: Connection, who: SessionUser, now_ns: int) -> list[reviews.Name]:
    """The ended calls that the person may review. Empty if the ingest's database is unavailable: the page has other
    parts."""
    if site.ingest_db is None:
        return []
    sees, lines = seen_by(db, who), site.calls.directory.lines
    try:
        with site.ingest_db.connect() as desk:
            return reviews.due(desk, db, now_ns, lambda row: sees(seat_of(row, lines).department))
    except SQLAlchemyError:
        return []


def _holds(db: Connection, name: str, now_ns: int) -> int:
    rows = [row for row in views.holds_to_do(db, name, now_ns) if row["command"] is None]
    chains = store.chains(db, [row["id"] for row in rows])
    return sum(chains[row["id"]].waits_for(name) for row in rows)


ROUTES: tuple[Route, ...] = (Route("/", ("GET",), SIGNED_IN, None, page, answers=(200, 303)),)
