# SPDX-License-Identifier: Apache-2.0
"""The steps of a request, each brought on a form: judged in judge.py, in the order of steps.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap.clock import rfc3339
from linetap.desk.serve.people.who import who_of
from linetap.desk.serve.release import checking, judge, package, showing, steps, store, tickets
from linetap.desk.serve.release.answering import id_of, remark, subject_of, upload
from linetap.desk.serve.release.rolesfile import InForce, in_force
from linetap.desk.serve.release.steps import Found, StepFault
from linetap.desk.serve.site import Site
from linetap.errors import BadInput, Refusal

CHECKED: tuple[steps.Step, ...] = ("approve", "unwrap", "give")
Do = Callable[[Connection, Found, InForce], None]


async def _step(request: Request, site: Site, act: str, step: steps.Step | None, prepare: Any) -> Response:
    """One step: `prepare(form)` reads what was brought and gives what is then done with it in a transaction."""
    form, subject = await request.form(), await subject_of(request)
    who = who_of(request)
    try:
        try:
            do: Do = await prepare(form)
            roles = await anyio.to_thread.run_sync(in_force, site) if step is not None else None
        except (Refusal, BadInput) as error:
            await store.refused(request, site, act, subject, error)
            raise

        known = None if roles is None or step not in CHECKED else await _fault(request, site, roles)

        def within(db: Connection) -> None:
            found = store.require(db, id_of(request))
            if step is None:
                found.require_open(site.clock.utc_ns())
            else:
                found.require(step, who.name, site.clock.utc_ns())
            if known is not None:
                raise known
            do(db, found, roles)  # type: ignore[arg-type]  # without a step nothing is judged by roles

        await store.deed(request, site, act, subject, within)
    except (Refusal, BadInput) as error:
        return await showing.page(request, site, error)
    return RedirectResponse(f"/release/{id_of(request)}", 303)


async def _fault(request: Request, site: Site, roles: InForce) -> Exception | None:
    """What is wrong with the copy, read before the step holds up any other."""

    def look() -> Exception | None:
        with site.own.connect() as db:
            found = store.read(db, id_of(request))
        return checking.fault(site, None if found is None else found.row, roles.roles)

    return await anyio.to_thread.run_sync(look)


async def key(request: Request, site: Site) -> Response:
    async def prepare(form: FormData) -> Do:
        one_time = judge.typed(form.get("one_time"))

        def do(db: Connection, found: Found, now: InForce) -> None:
            data = judge.with_key(found, one_time, now.roles, site.clock.utc_ns())
            store.change(db, found.row["id"], one_time=one_time, request=data, keyed_by=who_of(request).name)

        return do

    return await _step(request, site, "request_key", "key", prepare)


async def approve(request: Request, site: Site) -> Response:
    async def prepare(form: FormData) -> Do:
        sig, who = await upload(form), who_of(request)
        role = next(iter(who.roles & steps.APPROVES))

        def do(db: Connection, found: Found, now: InForce) -> None:
            asker = store.shown(db, found.row["asked_by"])
            person = judge.approval(found, sig, role, asker, now.roles, site.clock.utc_ns())
            store.approve(db, found.row["id"], role=role, signer=person.name, signer_role=person.role, sig=sig,
                          by=who.name, at=rfc3339(site.clock.utc_ns()))  # fmt: skip

        return do

    return await _step(request, site, "request_approve", "approve", prepare)


async def unwrap(request: Request, site: Site) -> Response:
    async def prepare(form: FormData) -> Do:
        data = await upload(form)
        judge.inner(data)

        def do(db: Connection, found: Found, now: InForce) -> None:
            now_ns = site.clock.utc_ns()
            judge.stands(found, now.roles, now_ns)
            store.change(db, found.row["id"], inner_age=data, unwrapped_by=who_of(request).name,
                         unwrapped_at=rfc3339(now_ns))  # fmt: skip

        return do

    return await _step(request, site, "request_unwrap", "unwrap", prepare)


async def close(request: Request, site: Site) -> Response:
    """Given out, by the custodian at the last step; not given out, by anybody, who says why."""

    async def prepare(form: FormData) -> Do:
        who, outcome = who_of(request), "given" if form.get("outcome") == "given" else "not_given"
        text = remark(form, needed=outcome == "not_given")

        def do(db: Connection, found: Found, _now: InForce) -> None:
            now_ns = site.clock.utc_ns()
            if outcome == "given":
                if "custodian" not in who.roles:
                    raise StepFault("step_not_yet", "only a custodian says that it was given out")
                found.require("give", who.name, now_ns)
            store.change(db, found.row["id"], outcome=outcome, remark=text, closed_by=who.name,
                         closed_at=rfc3339(now_ns))  # fmt: skip

        return do

    return await _step(request, site, "request_close", None, prepare)


async def ticket(request: Request, site: Site) -> Response:
    """Shown on this answer, and never again."""
    made: list[str] = []

    async def prepare(_form: FormData) -> Do:
        def do(db: Connection, found: Found, now: InForce) -> None:
            now_ns = site.clock.utc_ns()
            judge.stands(found, now.roles, now_ns)
            package.whole(site, found, now)
            made.append(tickets.make(db, found.row["id"], who_of(request).name, now_ns))

        return do

    answer = await _step(request, site, "request_ticket", "give", prepare)
    if not made:
        return answer
    return site.pages.page(
        request, "release/ticket.html", id=id_of(request), ticket=made[0], url=site.settings.url,
        minutes=tickets.GOOD_S // 60,
    )  # fmt: skip
