# SPDX-License-Identifier: Apache-2.0
"""The page of calls sealed to an overflow epoch: the archive for the officers' own machines, and their uploads. The
keys stay with the officers; the page transfers and checks papers, and shows what remains to be done."""

from __future__ import annotations

import shlex
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.roles import Roles, RolesFault
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.handling.site import Route, Site, read_ingest
from linetap_desk.serve.overflow import overflowcalls, uploads
from linetap_desk.serve.overflow.overflowcalls import OverflowCall
from linetap_desk.serve.overflow.uploads import UploadedCall
from linetap_desk.serve.release import checking, package, store, texts
from linetap_desk.serve.release.checking import roles_in_force
from linetap_desk.serve.release.common import FILE, error_texts, upload
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.web.roles import AUDITOR, VAULT

PATH, ARCHIVE = "/overflow", "overflow.tar"


async def page(request: Request, site: Site) -> Response:
    return await _page(request, site)


async def _page(request: Request, site: Site, error: Exception | None = None) -> Response:
    calls, more = await _calls(site)
    waits = [one for one in calls if one.rewrapped is None]
    unchecked = [one for one in calls if one.rewrapped is not None and not one.checked]
    return site.pages.page(
        request, "release/overflow.html", 200 if error is None else 409, waits=waits, unchecked=unchecked,
        done=[one for one in calls if one.checked], more=more, archive=ARCHIVE,
        rewrap=_rewrap(_first_of_each_id(waits)), checks=[_check(one) for one in _first_of_each_id(unchecked)],
        twins=_units_sharing_ids([*waits, *unchecked]), place=uploads.place(site), words=texts,
        error=None if error is None else error_texts(site, request, error),
    )  # fmt: skip


async def _calls(site: Site) -> tuple[list[OverflowCall], bool]:
    """The waiting calls, oldest first, the newest of the others, and whether more wait. Neither finished nor unreadable
    calls, which stay until their end, keep others from the page."""
    roles, waits, looked = await anyio.to_thread.run_sync(_roles, site), list[OverflowCall](), 0
    done = deque[Mapping[str, Any]](maxlen=overflowcalls.MOST)
    unreadable = deque[OverflowCall](maxlen=overflowcalls.MOST)
    after: Mapping[str, Any] | None = None
    while len(waits) <= overflowcalls.MOST and looked < overflowcalls.MOST_LOOKED:
        rows = await read_ingest(site, partial(overflowcalls.candidates, after=after))
        for one in await anyio.to_thread.run_sync(_undone, site, rows, roles, done):
            (unreadable if one.why else waits).append(one)
        if len(rows) < overflowcalls.A_READ:
            break
        after, looked = rows[-1], looked + len(rows)
    others = await anyio.to_thread.run_sync(overflowcalls.overflow_calls, site, list(done), roles)
    more = len(waits) > overflowcalls.MOST or looked >= overflowcalls.MOST_LOOKED
    return [*waits[: overflowcalls.MOST], *unreadable, *others], more


def _undone(
    site: Site, rows: Sequence[Mapping[str, Any]], roles: Roles | None, done: deque[Mapping[str, Any]]
) -> list[OverflowCall]:
    """The calls without a check; the others go to `done`, and are verified only if they are shown."""
    undone = list[Mapping[str, Any]]()
    for row in rows:
        (done if overflowcalls.may_be_done(site, row) else undone).append(row)
    return overflowcalls.overflow_calls(site, undone, roles)


def _roles(site: Site) -> Roles | None:
    try:
        return roles_in_force(site).roles
    except RolesFault:
        return None


def _first_of_each_id(calls: Sequence[OverflowCall]) -> list[OverflowCall]:
    """An archive has one folder for a call id, and two units may have calls of the same."""
    return list({one.call_id: one for one in reversed(calls)}.values())[::-1]


def _rewrap(calls: Sequence[OverflowCall]) -> list[str]:
    """A command for each overflow epoch, with the days that the units stated. Calls without a day follow by hand."""
    lines = []
    for epoch in sorted({one.epoch for one in calls if one.day}):
        folders = " ".join(_folder(one) for one in calls if one.day and one.epoch == epoch)
        lines.append(f"linetap overflow rewrap {folders} --identity {epoch}.txt --list keylist.json --key officer.key")
    lines += [
        f"linetap overflow rewrap {_folder(one)} --identity {one.epoch}.txt --to DAY --list keylist.json"
        " --key officer.key"
        for one in calls
        if one.epoch and not one.day
    ]
    return lines


def _units_sharing_ids(calls: Sequence[OverflowCall]) -> list[str]:
    """The units with calls of the same id."""
    count = Counter(one.call_id for one in calls)
    return sorted({one.row["unit"] for one in calls if count[one.call_id] > 1})


def _check(one: OverflowCall) -> str:
    day = "" if one.rewrapped is None else one.rewrapped.epoch
    holds = shlex.quote(f"holds/{one.call_id}")
    return f"linetap hold check {holds} {_folder(one)} --identity {shlex.quote(day)}.txt --key second-officer.key"


def _folder(one: OverflowCall) -> str:
    return shlex.quote(f"calls/{one.call_id}")


async def archive(request: Request, site: Site) -> Response:
    """An archive of the calls without their audio, their proofs, and the stored papers; of calls of one id the first.
    `unit`: only its calls."""
    calls, _more = await _calls(site)
    unit = request.query_params.get("unit")
    undone = [one for one in calls if not one.why and not one.checked and unit in (None, one.row["unit"])]

    def members() -> list[package.Member]:
        roles, found = roles_in_force(site).roles, []
        for one in _first_of_each_id(undone):
            checking.require_call(site, one.row, roles, opens=False)
            found += package.of_call(site, one.row)
            papers = overflowcalls.papers_of(site, one.row)
            found += [package.as_member(f"holds/{one.call_id}/{name}", data) for name, data in papers.items()]
        return found

    try:
        made = await anyio.to_thread.run_sync(members)
    except (Refusal, BadInput) as error:
        await store.log_refusal(request, site, "export", Subject(), error)
        return await _page(request, site, error)
    if not made:
        raise HTTPException(404)  # nothing waits
    return package.answer(made, ARCHIVE)


async def upload_papers(request: Request, site: Site) -> Response:
    form = await request.form()
    calls, _more = await _calls(site)
    subject = Subject()
    try:
        try:
            data = await upload(form)
            if uploads.place(site) is None:
                raise StepFault("holds_missing", "[copy] holds: desk.toml names no folder for them")
            roles = (await anyio.to_thread.run_sync(roles_in_force, site)).roles
            taken = await anyio.to_thread.run_sync(uploads.checked_files, site, data, calls, roles)
            subject = Subject(calls=tuple(one.call_id for one in taken))
        except (Refusal, BadInput) as error:
            await store.log_refusal(request, site, "overflow_take", subject, error)
            raise

        def do(_db: Connection) -> None:
            return None

        await store.run_logged(request, site, "overflow_take", subject, do)  # before files are stored
        await anyio.to_thread.run_sync(_keep, site, taken)
    except (Refusal, BadInput) as error:
        return await _page(request, site, error)
    return RedirectResponse(PATH, 303)


def _keep(site: Site, taken: Sequence[UploadedCall]) -> None:
    for one in taken:
        uploads.keep(site, one)


LARGER = {PATH: uploads.MOST_BYTES}
ROUTES: tuple[Route, ...] = (
    Route(PATH, ("GET",), VAULT | AUDITOR, "overflow_view", page),
    Route(PATH, ("POST",), VAULT, None, upload_papers, takes=FILE, answers=(303, 409)),
    Route(f"{PATH}/{ARCHIVE}", ("GET",), VAULT, "export", archive, takes=("unit",), answers=(200, 404, 409)),
)
