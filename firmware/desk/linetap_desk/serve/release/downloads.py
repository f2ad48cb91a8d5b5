# SPDX-License-Identifier: Apache-2.0
"""What people take from the page to their own device."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput, Refusal
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.serve.release import checking, judge, package, showing, store
from linetap_desk.serve.release.answering import id_of
from linetap_desk.serve.release.rolesfile import InForce, in_force
from linetap_desk.serve.release.steps import Found
from linetap_desk.serve.site import Site


async def request_json(request: Request, site: Site) -> Response:
    found = await _found(request, site)
    if found.row["request"] is None:
        raise HTTPException(404)
    name = f"{found.row['id']}.json"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(bytes(found.row["request"]), media_type="application/json", headers=headers)


async def for_the_vault(request: Request, site: Site) -> Response:
    """request.json with its signatures, and the call without its audio; a key that was wrapped anew."""

    def members(found: Found, now: InForce) -> list[package.Member]:
        found.require("unwrap", who_of(request).name, site.clock.utc_ns())
        judge.stands(found, now.roles, site.clock.utc_ns())
        checking.require(site, found.row, now.roles)
        return package.for_the_vault(site, found, now.roles)

    return await _packed(request, site, f"{id_of(request)}-vault.tar", members)


async def for_an_approver(request: Request, site: Site) -> Response:
    """request.json and the call without its audio: what `linetap release approve` verifies."""

    def members(found: Found, now: InForce) -> list[package.Member]:
        found.require("approve", who_of(request).name, site.clock.utc_ns())
        checking.require(site, found.row, now.roles)
        return package.for_an_approver(site, found)

    return await _packed(request, site, f"{id_of(request)}-call.tar", members)


async def packed(request: Request, site: Site) -> Response:
    def members(found: Found, now: InForce) -> list[package.Member]:
        found.require("give", who_of(request).name, site.clock.utc_ns())
        judge.stands(found, now.roles, site.clock.utc_ns())
        checking.require(site, found.row, now.roles)
        return package.whole(site, found, now)

    return await _packed(request, site, f"{id_of(request)}.tar", members)


async def _packed(
    request: Request, site: Site, name: str, members: Callable[[Found, InForce], list[package.Member]]
) -> Response:
    found = await _found(request, site)
    try:
        made = await anyio.to_thread.run_sync(lambda: members(found, in_force(site)))
    except (Refusal, BadInput) as error:
        await store.refused(request, site, "export", store.subject(found.row), error)
        return await showing.page(request, site, error)
    return package.answer(made, name)


async def _found(request: Request, site: Site) -> Found:
    def read() -> Found:
        with site.own.connect() as db:
            return store.require(db, id_of(request))

    return await anyio.to_thread.run_sync(read)
