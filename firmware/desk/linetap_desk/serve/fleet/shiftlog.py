# SPDX-License-Identifier: Apache-2.0
"""The shift log of the control room: who has acknowledged which fault and when, and notes for the next shift. Each
entry and its row of the access log are one transaction. Telephone numbers in a note are masked."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from itertools import groupby
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection, Row, delete, func, insert, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import unitnames
from linetap_desk.protection import period
from linetap_desk.protection.period import Period
from linetap_desk.serve.database.accesslog import DONE, Subject, without_numbers
from linetap_desk.serve.database.tables import shift_log
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.handling.assets import local_path
from linetap_desk.serve.handling.site import Route, Site, read_own
from linetap_desk.serve.live.hub import ShiftNote
from linetap_desk.serve.live.journal import Acknowledged, Reader
from linetap_desk.serve.people.sessions import SessionUser, session_user
from linetap_desk.web.roles import CUSTODIAN, OFFICER, VAULT, WATCH
from linetap_desk.web.text import N_

SEEN, NOTE = "seen", "note"
MOST_ROWS = 20_000  # beyond that the oldest are deleted
MOST_SHOWN = 200  # rows of a page
MOST_CHARACTERS = 1000  # of a note
UNITS = WATCH | OFFICER | VAULT | CUSTODIAN
_OF = re.compile(rf"({unitnames.NAME}) ([0-9a-f]{{8}}(?: [0-9a-f]{{8}})*)")
EMPTY = N_("A note has 1 to 1000 characters.")


async def acknowledge(request: Request, site: Site) -> Response:
    """Acknowledges a unit's faults. `of`: the unit and its faults as shown: later faults are not acknowledged. A shared
    fault, such as a switch's, is acknowledged for all units that it affects now."""
    form, who = await request.form(), session_user(request)
    found = _OF.fullmatch(str(form.get("of", ""))[:MOST_CHARACTERS])
    if found is None:
        raise HTTPException(400)
    units = {str(one["unit"]): one for one in site.fleet.state(Reader(False, "ko"))[2]}
    mine = units.get(found[1])
    if mine is None or mine["cause"] is None:
        raise HTTPException(404)
    faults_of = {found[1]: found[2], **_unacknowledged_neighbours(mine, units)}
    text = str(mine["cause"]["says"])
    at = await anyio.to_thread.run_sync(_store_entry, site, who, request.state.address, SEEN, faults_of, text)
    site.fleet.acknowledge({unit: Acknowledged(faults, who.shown, at) for unit, faults in faults_of.items()})
    return RedirectResponse(local_path(form.get("next", "/fleet")), 303)


def _unacknowledged_neighbours(mine: dict[str, Any], units: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The other units' unacknowledged faults."""
    group = mine["cause"]["group"]
    if not group:
        return {}
    others = ((name, one) for name, one in units.items() if one is not mine and one["seen"] is None)
    return {name: one["faults"] for name, one in others if one["cause"] is not None and one["cause"]["group"] == group}


async def page(request: Request, site: Site) -> Response:
    return await _page(request, site)


async def leave(request: Request, site: Site) -> Response:
    form, who = await request.form(), session_user(request)
    typed = str(form.get("text", "")).strip()
    if not 0 < len(typed) <= MOST_CHARACTERS:
        return await _page(request, site, EMPTY, typed, 400)
    text = without_numbers("".join(sign if sign.isprintable() or sign == "\n" else " " for sign in typed))
    at = await anyio.to_thread.run_sync(_store_entry, site, who, request.state.address, NOTE, {"": ""}, text)
    site.fleet.set_note(ShiftNote(text, who.shown, at))
    return RedirectResponse("/fleet/shift", 303)


async def _page(request: Request, site: Site, error: str = "", typed: str = "", status: int = 200) -> Response:
    """Shows the log in pages, newest entries first; all of it, or one month or year in the desk's zone."""
    before, asked = request.query_params.get("before", ""), request.query_params.get("period", "").strip()
    if not (before == "" or (before.isascii() and before.isdigit() and len(before) < 16)):
        raise HTTPException(400)
    try:
        of = period.parse(asked, site.pages.zone) if asked else None
    except BadInput:
        raise HTTPException(400) from None
    rows = await read_own(site, lambda db: _older(db, int(before or 0), of))
    entries = [list(some) for _, some in groupby(rows, lambda row: (row.at, row.person, row.kind, row.text))]
    older = rows[-1].id if len(rows) >= MOST_SHOWN else None
    return site.pages.page(
        request, "fleet/shift.html", status, entries=entries, error=error, typed=typed, period=asked, older=older
    )


def _older(db: Connection, before: int, of: Period | None) -> list[Row[Any]]:
    """The next rows before that id, newest first. The last entry is complete: it has a row for each unit."""
    wanted = select(shift_log).order_by(shift_log.c.id.desc())
    if before:
        wanted = wanted.where(shift_log.c.id < before)
    if of is not None:
        wanted = wanted.where(shift_log.c.at >= rfc3339(of.since_ns), shift_log.c.at < rfc3339(of.until_ns))
    rows = list(db.execute(wanted.limit(MOST_SHOWN)))
    if len(rows) == MOST_SHOWN:
        last = rows[-1]
        same = (shift_log.c.at == last.at) & (shift_log.c.person == last.person) & (shift_log.c.kind == last.kind)
        rows += db.execute(wanted.where(same, shift_log.c.id < last.id))
    return rows


def _store_entry(site: Site, who: SessionUser, address: str, kind: str, faults_of: Mapping[str, str], text: str) -> str:
    """Stores an entry; returns its time. An acknowledgement has a row for each unit, a note one row without a unit."""
    at = rfc3339(site.clock.utc_ns())
    act = "fleet_seen" if kind == SEEN else "shift_note"
    with writing(site.own) as db:
        row = {"at": at, "person": who.name, "shown": who.shown, "kind": kind, "text": text}
        rows = [{**row, "unit": unit, "faults": faults} for unit, faults in faults_of.items()]
        db.execute(insert(shift_log), rows)  # values of a statement stay in SQLAlchemy's cache
        newest = db.execute(select(func.max(shift_log.c.id))).scalar_one()
        db.execute(delete(shift_log).where(shift_log.c.id <= newest - MOST_ROWS))
        remark = f"{len(rows)} units" if len(rows) > 1 else ""
        site.access.append_in(db, who.name, address, act, Subject(terms=" ".join(faults_of), remark=remark), DONE)
    return at


def latest_entries(db: Connection) -> tuple[dict[str, Acknowledged], ShiftNote | None]:
    """The last acknowledgement of each unit, and the last note."""
    last = select(func.max(shift_log.c.id)).where(shift_log.c.kind == SEEN).group_by(shift_log.c.unit)
    seen = db.execute(select(shift_log).where(shift_log.c.id.in_(last))).all()
    newest = select(shift_log).where(shift_log.c.kind == NOTE).order_by(shift_log.c.id.desc()).limit(1)
    note = db.execute(newest).one_or_none()
    acknowledged = {row.unit: Acknowledged(row.faults, row.shown, row.at) for row in seen}
    return acknowledged, None if note is None else ShiftNote(note.text, note.shown, note.at)


@contextlib.asynccontextmanager
async def lifespan(site: Site) -> AsyncIterator[None]:
    """Restores the acknowledgements and the note of the last run."""
    with site.own.connect() as db:
        acknowledged, note = latest_entries(db)
    site.fleet.acknowledge(acknowledged)
    if note is not None:
        site.fleet.set_note(note)
    yield


ROUTES: tuple[Route, ...] = (
    Route("/fleet/seen", ("POST",), UNITS, None, acknowledge, takes=("of", "next"), answers=(303, 400, 404)),
    Route("/fleet/shift", ("GET",), UNITS, "shift_view", page, takes=("period", "before"), answers=(200, 400)),
    Route("/fleet/shift", ("POST",), UNITS, None, leave, takes=("text",), answers=(303, 400)),
)
