# SPDX-License-Identifier: Apache-2.0
"""The pages of releases: the list, and the state of a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio.to_thread
from sqlalchemy import (
    Connection,
    Select,
    Table,
    and_,
    desc,
    literal,
    or_,
    select,
    tuple_,
)
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import SIGNING_PAGES, parse
from linetap_core.evidence.authorization.roles import RolesFault
from linetap_desk.release import signingpage
from linetap_desk.serve.database.tables import approvals, holds, requests
from linetap_desk.serve.handling.site import Site, read_ingest, read_own
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import callfiles, checking, holdstore, store, terms, texts
from linetap_desk.serve.release.callfiles import Officers
from linetap_desk.serve.release.checking import roles_in_force
from linetap_desk.serve.release.common import error_texts, id_of
from linetap_desk.serve.release.holdstore import RequestedHold
from linetap_desk.serve.release.steps import Chain, RequestState, StepFault
from linetap_desk.serve.release.store import ID
from linetap_desk.serve.release.terms import Shown
from linetap_desk.unsealing.wrapped import Wrapped

SIZE = 50  # rows of a page, and of a person's tasks
MOST_LOOKED = 2000  # open requests searched for a person's tasks

List = Literal["open", "closed", "holds"]
Way = Literal["on", "back"]
_TOKEN = re.compile(r"(open|closed|holds)~(on|back)~(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)~(H?[\d-]{9,11})")


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A position in a list: the rows before (`back`) or after (`on`) one row."""

    list: List
    way: Way
    at: str
    id: str

    @classmethod
    def parse(cls, token: str) -> ListPosition:
        """The position. BadInput for an invalid page token."""
        found = _TOKEN.fullmatch(token)
        if found is None or ID.fullmatch(found[4]) is None:
            raise BadInput("page: not a page's token; without one the lists begin at the start")
        listed: dict[str, List] = {"open": "open", "closed": "closed", "holds": "holds"}
        return cls(listed[found[1]], "on" if found[2] == "on" else "back", found[3], found[4])

    def token(self) -> str:
        return "~".join((self.list, self.way, self.at, self.id))


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of a list. `before` and `after`: tokens, empty at the ends."""

    rows: Sequence[Mapping[str, Any]] = ()
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Tasks[T]:
    """The next steps of one person. `more`: there are or may be others."""

    rows: Sequence[T] = ()
    more: bool = False


def page_of_list(db: Connection, listed: List, now_ns: int, place: ListPosition | None = None) -> ListPage:
    """A page of a list: open requests by their expiry; closed or expired ones and holds newest first."""
    table, order, newest_first, wanted = _list_query(listed, now_ns)
    backward = place is not None and place.way == "back"
    descending = newest_first != backward
    key = tuple_(order, table.c.id)
    if place is not None:
        there = tuple_(literal(place.at), literal(place.id))
        wanted = wanted.where(key < there if descending else key > there)
    keys = [desc(order), desc(table.c.id)] if descending else [order, table.c.id]
    found = [dict(row) for row in db.execute(wanted.order_by(*keys).limit(SIZE + 1)).mappings()]
    more, rows = len(found) > SIZE, found[:SIZE]
    if backward:
        rows.reverse()

    def beyond(way: Way) -> str:
        if not rows or not (more if backward == (way == "back") else place is not None):
            return ""
        row = rows[0] if way == "back" else rows[-1]
        return ListPosition(listed, way, row[order.name], row["id"]).token()

    return ListPage(rows, beyond("back"), beyond("on"))


def with_approvals(db: Connection, rows: Sequence[Mapping[str, Any]]) -> list[RequestState]:
    """Requests with their approvals and partials."""
    signed: dict[str, list[Mapping[str, Any]]] = {row["id"]: [] for row in rows}
    for one in db.execute(select(approvals).where(approvals.c.request.in_(signed)).order_by(approvals.c.at)).mappings():
        signed[one["request"]].append(dict(one))
    chains = store.chains(db, list(signed))
    return [RequestState(row, signed[row["id"]], chains[row["id"]]) for row in rows]


def requests_of(db: Connection, now_ns: int, is_theirs: Callable[[RequestState], bool]) -> Tasks[RequestState]:
    """The person's requests, those that expire first, among at most MOST_LOOKED."""
    theirs: list[RequestState] = []
    place: ListPosition | None = None
    for _ in range(MOST_LOOKED // SIZE):
        part = page_of_list(db, "open", now_ns, place)
        theirs += [one for one in with_approvals(db, part.rows) if is_theirs(one)]
        if len(theirs) > SIZE or not part.after:
            return Tasks(theirs[:SIZE], len(theirs) > SIZE)
        place = ListPosition.parse(part.after)
    return Tasks(theirs[:SIZE], more=True)


def holds_to_do(db: Connection, name: str, now_ns: int) -> list[Mapping[str, Any]]:
    """Holds that may wait for this vault officer: those without a command, then those with the newest commands, which
    the unit may not have executed yet. At most MOST_LOOKED."""
    waiting = and_(holds.c.closed_at.is_(None), holds.c.until > rfc3339(now_ns), holds.c.asked_by != name)
    order = (holds.c.command_at.is_not(None), desc(holds.c.command_at), holds.c.asked_at, holds.c.id)
    wanted = select(*store.columns_without_files(holds)).where(waiting)
    return [dict(row) for row in db.execute(wanted.order_by(*order).limit(MOST_LOOKED)).mappings()]


def _list_query(listed: List, now_ns: int) -> tuple[Table, Any, bool, Select[Any]]:
    if listed == "holds":
        return holds, holds.c.asked_at, True, select(*store.columns_without_files(holds))
    over = or_(requests.c.closed_at.is_not(None), requests.c.expires_at <= rfc3339(now_ns))
    wanted = select(*store.columns_without_files(requests))
    if listed == "closed":
        return requests, requests.c.asked_at, True, wanted.where(over)
    return requests, requests.c.expires_at, False, wanted.where(~over)


async def overview(request: Request, site: Site) -> Response:
    """Shows all three lists, with the person's next steps; with a token, a page of one list."""
    who, now_ns = session_user(request), site.clock.utc_ns()
    try:
        place = ListPosition.parse(request.query_params["page"]) if request.query_params.get("page") else None
        status = 200
    except BadInput:
        place, status = None, 400

    Rows = list[Mapping[str, Any]]

    def read(
        db: Connection,
    ) -> tuple[dict[List, ListPage], dict[str, list[RequestState]], Tasks[RequestState], Rows, dict[str, Chain]]:
        wanted: tuple[List, ...] = ("open", "closed", "holds") if place is None else (place.list,)
        pages = {name: page_of_list(db, name, now_ns, place) for name in wanted}
        found: dict[str, list[RequestState]] = {
            name: with_approvals(db, part.rows) for name, part in pages.items() if name != "holds"
        }
        of_holds = list(pages["holds"].rows) if "holds" in pages else []
        to_do = holds_to_do(db, who.name, now_ns) if "vault" in who.roles and place is None else []
        chains = store.chains(db, [row["id"] for row in (*of_holds, *to_do)])
        if place is not None:
            return pages, found, Tasks(), [], chains
        mine = requests_of(db, now_ns, lambda one: one.is_for(who.name, who.roles, now_ns))
        return pages, found, mine, [row for row in to_do if chains[row["id"]].waits_for(who.name)], chains

    pages, found, mine, to_do, chains = await read_own(site, read)
    kept, theirs = await _hold_tasks(site, pages.get("holds", ListPage()).rows, to_do, now_ns, chains)
    known = {one.row["id"] for one in mine.rows} | {one.row["id"] for one in theirs.rows}
    found["open"] = [one for one in found.get("open", []) if one.row["id"] not in known]
    return site.pages.page(
        request, "release/list.html", status, pages=pages, found=found, mine=mine.rows, holds_mine=theirs.rows,
        holds=[one for one in kept if one.row["id"] not in known], more=mine.more or theirs.more, place=place,
        is_wrong=status == 400, now_ns=now_ns, words=texts,
    )  # fmt: skip


async def _hold_tasks(
    site: Site,
    rows: Sequence[Mapping[str, Any]],
    to_do: Sequence[Mapping[str, Any]],
    now_ns: int,
    chains: Mapping[str, Chain],
) -> tuple[list[RequestedHold], Tasks[RequestedHold]]:
    """The holds with the units' reports; the ingest's database is read only if there are holds."""
    if not rows and not to_do:
        return [], Tasks()

    def read(desk: Connection) -> tuple[list[RequestedHold], list[RequestedHold]]:
        return holdstore.with_state(desk, rows, now_ns, chains), holdstore.to_do(desk, to_do, now_ns, SIZE)

    kept, theirs = await read_ingest(site, read)
    return kept, Tasks(theirs[:SIZE], len(theirs) > SIZE or len(to_do) == MOST_LOOKED)


async def one(request: Request, site: Site) -> Response:
    return await page(request, site)


async def page(request: Request, site: Site, error: Exception | None = None, **more: Any) -> Response:
    who, now_ns = session_user(request), site.clock.utc_ns()

    language = site.pages.language(request)

    Read = tuple[RequestState, dict[str, str], Any, str, str, Wrapped | None, Officers | None, Any, str, Shown | None]

    def read() -> Read:
        with site.own.connect() as db:
            state = store.require_request(db, id_of(request))
            row = state.row
            doers = {row[name] for name in ("asked_by", "keyed_by", "unwrapped_by", "closed_by")} - {None}
            doers |= {a["by"] for a in state.approvals} | {one.by for one in state.chain.partials}
            names = {name: store.display_name(db, name) for name in doers}
        wrapped = _rewrapped_key(site, state) if state.step(now_ns) == "unwrap" else None
        anew = None if wrapped is None else wrapped.key_age
        together = (
            callfiles.officers_of(site, row, state.chain, who.name, anew) if state.step(now_ns) == "unwrap" else None
        )
        return (
            state,
            names,
            _purpose(site, row["purpose"]),
            _copy(site, state),
            callfiles.closing_state(site, state.row),
            wrapped,
            together,
            checking.witness_verdict(site, row),
            _signing(site, state, language) if state.step(now_ns) == "approve" else "",
            _terms(site, state),
        )

    everything = await anyio.to_thread.run_sync(read)
    state, names, purpose, copy, proof, wrapped, together, witnessed, signing, rule = everything
    return site.pages.page(
        request, "release/request.html", 200 if error is None else 409, found=state, row=state.row, names=names,
        step=state.step(now_ns), words=texts, mine=state.is_for(who.name, who.roles, now_ns),
        purpose=purpose, copy=texts.REFUSAL.get(copy, copy), proof=proof, wrapped=wrapped, ticket="", officers=together,
        witnessed=witnessed, signing=signing, rule=rule,
        url=site.settings.url,
        error=None if error is None else error_texts(site, request, error), **more,
    )  # fmt: skip


def _purpose(site: Site, purpose: str) -> Any:
    try:
        return roles_in_force(site).roles.purpose(purpose)
    except RolesFault:
        return None


def _terms(site: Site, state: RequestState) -> Shown | None:
    if state.row["request"] is None:
        return None
    try:
        return terms.shown_terms(parse(bytes(state.row["request"])), roles_in_force(site).roles)
    except (RolesFault, BadInput):
        return None


def _signing(site: Site, state: RequestState, language: str) -> str:
    """The link to the signing page with this request; empty if no passkey can approve it."""
    address, data = site.settings.signing, bytes(state.row["request"])
    if address is None or parse(data).signing_page not in SIGNING_PAGES:
        return ""
    try:
        people = signingpage.approvers(roles_in_force(site).roles, urlsplit(address).hostname or "")
    except RolesFault:
        return ""
    return signingpage.link(address, data, people, language) if people else ""


def _rewrapped_key(site: Site, state: RequestState) -> Wrapped | None:
    try:
        return callfiles.newest_wrapped(site, state.row, roles_in_force(site).roles)
    except RolesFault:
        return None


def _copy(site: Site, state: RequestState) -> str:
    """The reason why there is no second copy; empty if there is one."""
    try:
        callfiles.copy_folder(site, state.row)
    except StepFault as fault:
        return fault.code
    return ""
