# SPDX-License-Identifier: Apache-2.0
"""The pages of releases: the list, and a request as it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.roles import RolesFault
from linetap_desk.release.wrapped import Wrapped
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.serve.release import callfiles, checking, holdstore, lists, steps, store, words
from linetap_desk.serve.release.answering import id_of, said
from linetap_desk.serve.release.callfiles import Officers
from linetap_desk.serve.release.holdstore import Asked
from linetap_desk.serve.release.lists import Mine, Page
from linetap_desk.serve.release.rolesfile import in_force
from linetap_desk.serve.release.steps import Chain, Found, StepFault
from linetap_desk.serve.site import Site, read_desk


async def overview(request: Request, site: Site) -> Response:
    """All three lists, with the person's next steps; or, given a token, a page of one list."""
    who, now_ns = who_of(request), site.clock.utc_ns()
    try:
        place = lists.Place.parse(request.query_params["page"]) if request.query_params.get("page") else None
        status = 200
    except BadInput:
        place, status = None, 400

    Rows = list[Mapping[str, Any]]

    def read() -> tuple[dict[lists.List, Page], dict[str, list[Found]], Mine[Found], Rows, dict[str, Chain]]:
        with site.own.connect() as db:
            wanted: tuple[lists.List, ...] = ("open", "closed", "holds") if place is None else (place.list,)
            pages = {name: lists.page(db, name, now_ns, place) for name in wanted}
            found: dict[str, list[Found]] = {
                name: lists.founds(db, part.rows) for name, part in pages.items() if name != "holds"
            }
            of_holds = list(pages["holds"].rows) if "holds" in pages else []
            to_do = lists.holds_to_do(db, who.name, now_ns) if "vault" in who.roles and place is None else []
            chains = store.chains(db, [row["id"] for row in (*of_holds, *to_do)])
            if place is not None:
                return pages, found, Mine(), [], chains
            mine = lists.requests_of(db, now_ns, lambda one: one.is_for(who.name, who.roles, now_ns))
            return pages, found, mine, [row for row in to_do if chains[row["id"]].waits_for(who.name)], chains

    pages, found, mine, to_do, chains = await anyio.to_thread.run_sync(read)
    kept, theirs = await _holds(site, pages.get("holds", Page()).rows, to_do, now_ns, chains)
    known = {one.row["id"] for one in mine.rows} | {one.row["id"] for one in theirs.rows}
    found["open"] = [one for one in found.get("open", []) if one.row["id"] not in known]
    return site.pages.page(
        request, "release/list.html", status, pages=pages, found=found, mine=mine.rows, holds_mine=theirs.rows,
        holds=[one for one in kept if one.row["id"] not in known], more=mine.more or theirs.more, place=place,
        is_wrong=status == 400, now_ns=now_ns, words=words,
    )  # fmt: skip


async def _holds(
    site: Site,
    rows: Sequence[Mapping[str, Any]],
    to_do: Sequence[Mapping[str, Any]],
    now_ns: int,
    chains: Mapping[str, Chain],
) -> tuple[list[Asked], Mine[Asked]]:
    """With the units' reports; the ingest's database is read only if there are holds."""
    if not rows and not to_do:
        return [], Mine()

    def look(desk: Connection) -> tuple[list[Asked], list[Asked]]:
        return holdstore.with_state(desk, rows, now_ns, chains), holdstore.to_do(desk, to_do, now_ns, lists.SIZE)

    kept, theirs = await read_desk(site, look)
    return kept, Mine(theirs[: lists.SIZE], len(theirs) > lists.SIZE or len(to_do) == lists.MOST_LOOKED)


async def one(request: Request, site: Site) -> Response:
    return await page(request, site)


async def page(request: Request, site: Site, error: Exception | None = None, **more: Any) -> Response:
    who, now_ns = who_of(request), site.clock.utc_ns()

    def read() -> tuple[Found, dict[str, str], Any, str, str, Wrapped | None, Officers | None, Any]:
        with site.own.connect() as db:
            found = store.require(db, id_of(request))
            row = found.row
            doers = {row[name] for name in ("asked_by", "keyed_by", "unwrapped_by", "closed_by")} - {None}
            doers |= {a["by"] for a in found.approvals} | {one.by for one in found.chain.partials}
            names = {name: store.shown(db, name) for name in doers}
        wrapped = _wrapped(site, found) if found.step(now_ns) == "unwrap" else None
        anew = None if wrapped is None else wrapped.key_age
        together = (
            callfiles.officers_of(site, row, found.chain, who.name, anew) if found.step(now_ns) == "unwrap" else None
        )
        return (
            found,
            names,
            _purpose(site, row["purpose"]),
            _copy(site, found),
            callfiles.closing_state(site, found.row),
            wrapped,
            together,
            checking.witness_verdict(site, row),
        )

    found, names, purpose, copy, proof, wrapped, together, witnessed = await anyio.to_thread.run_sync(read)
    return site.pages.page(
        request, "release/request.html", 200 if error is None else 409, found=found, row=found.row, names=names,
        step=found.step(now_ns), steps=steps, words=words, mine=found.is_for(who.name, who.roles, now_ns),
        purpose=purpose, copy=words.REFUSAL.get(copy, copy), proof=proof, wrapped=wrapped, ticket="", officers=together,
        witnessed=witnessed,
        url=site.settings.url,
        error=None if error is None else said(site, request, error), **more,
    )  # fmt: skip


def _purpose(site: Site, purpose: str) -> Any:
    try:
        return in_force(site).roles.purpose(purpose)
    except RolesFault:
        return None


def _wrapped(site: Site, found: Found) -> Wrapped | None:
    try:
        return callfiles.newest_wrapped(site, found, in_force(site).roles)
    except RolesFault:
        return None


def _copy(site: Site, found: Found) -> str:
    """The reason why there is no second copy; empty if there is one."""
    try:
        callfiles.copy_of(site, found.row)
    except StepFault as fault:
        return fault.code
    return ""
