# SPDX-License-Identifier: Apache-2.0
"""The pages of releases: the list, and a request as it stands."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from linetap.desk.serve.people.who import who_of
from linetap.desk.serve.reading import reading
from linetap.desk.serve.release import closings, holdstore, package, steps, store, words, wrappings
from linetap.desk.serve.release.answering import id_of, said
from linetap.desk.serve.release.rolesfile import in_force
from linetap.desk.serve.release.steps import Found, StepFault
from linetap.desk.serve.site import Site
from linetap.evidence.roles import RolesFault


async def overview(request: Request, site: Site) -> Response:
    who, now_ns = who_of(request), site.clock.utc_ns()

    def read() -> tuple[Any, Any]:
        with site.own.connect() as db:
            return store.listed(db, now_ns), holdstore.listed(db)

    (going, over), kept = await anyio.to_thread.run_sync(read)
    holds = await reading(site, lambda db: holdstore.with_state(db, kept, now_ns)) if kept else []
    mine = [one for one in going if one.is_for(who.name, who.roles, now_ns)]
    return site.pages.page(
        request, "release/list.html", mine=mine, going=[one for one in going if one not in mine], over=over,
        holds=[one for one in holds if not one.is_over],
        holds_mine=[one for one in holds if one.is_for(who.name, who.roles)],
        holds_over=[one for one in holds if one.is_over], now_ns=now_ns, words=words, most=store.MOST_CLOSED,
    )  # fmt: skip


async def one(request: Request, site: Site) -> Response:
    return await page(request, site)


async def page(request: Request, site: Site, error: Exception | None = None, **more: Any) -> Response:
    who, now_ns = who_of(request), site.clock.utc_ns()

    def read() -> tuple[Found, dict[str, str], Any, str, str, bool]:
        with site.own.connect() as db:
            found = store.require(db, id_of(request))
            row = found.row
            doers = {row[name] for name in ("asked_by", "keyed_by", "unwrapped_by", "closed_by")} - {None}
            names = {name: store.shown(db, name) for name in doers | {a["by"] for a in found.approvals}}
        wrapped = found.step(now_ns) == "unwrap" and _is_wrapped(site, found)
        return found, names, _purpose(site, row["purpose"]), _copy(site, found), closings.state(site, found), wrapped

    found, names, purpose, copy, proof, wrapped = await anyio.to_thread.run_sync(read)
    return site.pages.page(
        request, "release/request.html", 200 if error is None else 409, found=found, row=found.row, names=names,
        step=found.step(now_ns), steps=steps, words=words, mine=found.is_for(who.name, who.roles, now_ns),
        purpose=purpose, copy=words.REFUSAL.get(copy, copy), proof=proof, wrapped=wrapped, ticket="",
        url=site.settings.url,
        error=None if error is None else said(site, request, error), **more,
    )  # fmt: skip


def _purpose(site: Site, purpose: str) -> Any:
    try:
        return in_force(site).roles.purpose(purpose)
    except RolesFault:
        return None


def _is_wrapped(site: Site, found: Found) -> bool:
    try:
        return wrappings.newest(site, found, in_force(site).roles) is not None
    except RolesFault:
        return False


def _copy(site: Site, found: Found) -> str:
    """Why there is no second copy; empty where there is one."""
    try:
        package.copy_of(site, found)
    except StepFault as fault:
        return fault.code
    return ""
