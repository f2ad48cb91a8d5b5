# SPDX-License-Identifier: Apache-2.0
"""The requests of `linetap search`, without session cookie and form: the begin of a search session with its ticket, the
sealed index of one unit, and the log entry of each search.

The bodies have no field for a number, and a body with a further field is refused. A search's entry is committed before
the answer, which includes the head of the access log: without it the helper shows no result.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import anyio.to_thread
import msgspec
from msgspec import Meta
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute

from linetap_core.evidence.calls import index as callindex
from linetap_core.evidence.calls import indexhead
from linetap_core.evidence.signing import unitnames
from linetap_desk.copy.indexfolder import IndexFolder, units_with_index
from linetap_desk.searching.indexsearch import days_of
from linetap_desk.serve.database.accesslog import DONE, SHOWN, ChainFault
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.finding.grants import Grant
from linetap_desk.serve.finding.routes import SEARCHES, subject_of
from linetap_desk.serve.handling.site import Site, json_body, read_own
from linetap_desk.serve.people import accounts
from linetap_desk.serve.release import package
from linetap_desk.serve.release.package import Member
from linetap_desk.web.secure import bearer_token, client_address


def pack_index(folder: IndexFolder, first: date, last: date) -> list[Member]:
    """The members of the archive for these days: lists with their signed heads, then segments.

    OSError: the folder cannot be read. Nothing is verified here: the person who opens the segments verifies them.
    """
    return [*_lists(folder.folder), *_segments(folder, first, last)]


def _lists(folder: Path) -> Iterator[Member]:
    found = folder.iterdir() if folder.is_dir() else iter(())
    for path in sorted(found):
        if path.name.startswith(indexhead.PREFIXES):
            yield from _member(path, path.name)


def _segments(folder: IndexFolder, first: date, last: date) -> Iterator[Member]:
    for name in folder.segments():
        named = callindex.parse_segment(name.rpartition("/")[2])
        if named is not None and first <= named[0] <= last:
            yield from _member(folder.folder / name, name)


def _member(path: Path, name: str) -> Iterator[Member]:
    """The member; nothing for a removed file or another kind of object."""
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode):
        yield Member(name, found.st_size, path)


MOST_BYTES = 4096

log = logging.getLogger("linetap.serve")


class SessionGrant(msgspec.Struct, frozen=True, kw_only=True):
    """The granted session. `units`: those with a copied index here; the list may be incomplete."""

    token: str
    id: str
    person: str
    purpose: str
    case: str
    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    zone: str
    units: list[str]


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An announced search, without the number. `entry`: of the person's own log, which has the masked number."""

    kind: Literal["number", "name", "extension"]
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    units: Annotated[int, Meta(ge=0, le=100_000)]
    entry: Annotated[str, Meta(pattern=r"^(access-[0-9a-f]{8} [0-9]{1,9})?\Z")] = ""


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """The head of the desk's access log with the search's row."""

    seq: int
    head: str
    sig: str


async def begin(request: Request, site: Site) -> Response:
    await json_body(request, dict, MOST_BYTES)
    found = site.finding.begin(bearer_token(request))
    if found is None:
        raise HTTPException(401)
    grant, token = found
    if not await _may(site, grant):
        site.finding.end(token)
        raise HTTPException(401)
    root = _root(site)
    units = [] if root is None else await anyio.to_thread.run_sync(units_with_index, root)
    units = [unit for unit in units if unitnames.is_name(unit)]
    address = client_address(request, site.settings.proxies)
    await site.access.write(grant.person, address, "find_begin", subject_of(grant, f"units={len(units)}"), DONE)
    begun = SessionGrant(
        token=token, id=grant.id, person=grant.person, purpose=grant.purpose, case=grant.case, first=str(grant.first),
        last=str(grant.last), zone=site.pages.zone.key, units=units,
    )  # fmt: skip
    return _json(begun)


async def index(request: Request, site: Site) -> Response:
    """The lists of one unit and its segments that may have calls of the granted days, as an archive."""
    grant, unit, root = await _grant_of(request, site), str(request.path_params["unit"]), _root(site)
    if root is None or not unitnames.is_name(unit):
        raise HTTPException(404)
    members = await anyio.to_thread.run_sync(pack_index, IndexFolder(root, unit), *days_of(grant.first, grant.last))
    return package.answer(members, f"{unit}.tar")


async def search(request: Request, site: Site) -> Response:
    grant, asked = await _grant_of(request, site), await json_body(request, Search, MOST_BYTES)
    if not grant.first <= asked.first <= asked.last <= grant.last:
        raise HTTPException(409)
    address = client_address(request, site.settings.proxies)
    words = " ".join(filter(None, (asked.kind, f"units={asked.units}", asked.entry)))
    searched = Grant(grant.id, grant.person, grant.purpose, grant.case, asked.first, asked.last)

    def append() -> Logged:
        with writing(site.own) as db:
            head = site.access.append_in(db, grant.person, address, "find", subject_of(searched, words), SHOWN)
            signed = site.access.signed(head)
        return Logged(seq=head.seq, **signed)

    return _json(await anyio.to_thread.run_sync(append))


async def end(request: Request, site: Site) -> Response:
    await json_body(request, dict, MOST_BYTES)
    site.finding.end(bearer_token(request))
    return Response(b"{}", media_type="application/json")


async def _grant_of(request: Request, site: Site) -> Grant:
    grant: Grant | None = site.finding.of(bearer_token(request))
    if grant is None or not await _may(site, grant):
        raise HTTPException(401)
    return grant


async def _may(site: Site, grant: Grant) -> bool:
    """Whether the person still has the role: a lost role ends access at once, also during a search."""
    return await read_own(site, lambda db: accounts.has_role(db, grant.person, SEARCHES))


def _root(site: Site) -> Path | None:
    copy = site.settings.desk.copy
    return None if copy is None else copy.index_root


def _json(found: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json")


Handler = Callable[[Request, Site], Awaitable[Response]]


def api_routes(site: Site) -> list[StarletteRoute]:
    """The routes without session and role, separate from the table of pages."""

    def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request, site)
            except HTTPException as error:
                return PlainTextResponse(f"{error.status_code}\n", error.status_code)
            except (SQLAlchemyError, ChainFault):
                log.error("desk_database_away: no search is answered")
                return PlainTextResponse("503\n", 503)
            except OSError as error:
                log.error("index_unreadable: %s", error.strerror)
                return PlainTextResponse("503\n", 503)
            except ClientDisconnect:
                return PlainTextResponse("400\n", 400)

        return answer

    return [
        StarletteRoute("/find/begin", guarded(begin), methods=["POST"]),
        StarletteRoute("/find/index/{unit}", guarded(index), methods=["GET"]),
        StarletteRoute("/find/search", guarded(search), methods=["POST"]),
        StarletteRoute("/find/end", guarded(end), methods=["POST"]),
    ]
