# SPDX-License-Identifier: Apache-2.0
"""The pages of releases: the list, a request, and each of its steps. Judged in judge.py, in the order of steps.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap.clock import rfc3339
from linetap.desk.serve.people.who import who_of
from linetap.desk.serve.reading import reading
from linetap.desk.serve.release import call as named
from linetap.desk.serve.release import holdstore, judge, package, steps, store, tickets, words
from linetap.desk.serve.release.answering import MAY, id_of, remark, said, subject_of, upload
from linetap.desk.serve.release.rolesfile import InForce, in_force
from linetap.desk.serve.release.steps import Found, StepFault
from linetap.desk.serve.route import Route, Subject, subject_of_path
from linetap.desk.serve.site import Site
from linetap.desk.serve.tables import requests
from linetap.desk.serve.text import N_
from linetap.errors import BadInput, Refusal
from linetap.evidence.release import DEFAULT_DAYS, MOST_DAYS
from linetap.evidence.roles import RolesFault

FIELDS = ("purpose", "case", "requester", "recipient", "days")


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


async def ask_page(request: Request, site: Site) -> Response:
    row = await named.find(site, str(request.path_params["unit"]), str(request.path_params["call_id"]))
    return await _ask(request, site, row, {"days": str(DEFAULT_DAYS)})


async def _ask(
    request: Request, site: Site, row: Any, typed: dict[str, str], error: Exception | None = None
) -> Response:
    try:
        named.require(row)
        purposes = (await anyio.to_thread.run_sync(in_force, site)).roles.purposes
    except (StepFault, RolesFault) as why:
        purposes, error = [], error or why
    return site.pages.page(
        request, "release/ask.html", 200 if error is None else 409, row=row, typed=typed, purposes=purposes,
        most_days=MOST_DAYS, error=None if error is None else said(site, request, error),
    )  # fmt: skip


async def ask(request: Request, site: Site) -> Response:
    form, who = await request.form(), who_of(request)
    row = await named.find(site, str(form.get("unit", "")), str(form.get("call_id", "")))
    subject = Subject(calls=(row["call_id"],))
    typed: dict[str, str] = {}
    made: list[str] = []
    try:
        try:
            typed = {name: judge.typed(form.get(name)) for name in FIELDS}
            call = named.require(row)
            roles = (await anyio.to_thread.run_sync(in_force, site)).roles
            asked = judge.asked(call.named, typed, roles, site.clock.utc_ns())
        except (Refusal, BadInput) as error:
            await store.refused(request, site, "request_ask", subject, error)
            raise
    except (Refusal, BadInput) as error:
        return await _ask(request, site, row, typed, error)

    def do(db: Connection) -> Subject:
        made.append(store.new_id(db, site, requests))
        values = {
            "id": made[0], "unit": call.unit, "call_id": call.named.call_id, "line": call.named.line,
            "record_sha256": call.named.record_sha256, "purpose": asked.purpose, "case_number": asked.case,
            "requester": asked.requester, "recipient": asked.recipient, "asked_by": who.name,
            "asked_at": asked.created, "expires_at": asked.expires,
        }  # fmt: skip
        store.add(db, values)
        return store.subject(values)

    await store.deed(request, site, "request_ask", subject, do)
    return RedirectResponse(f"/release/{made[0]}", 303)


async def one(request: Request, site: Site) -> Response:
    return await _one(request, site)


async def _one(request: Request, site: Site, error: Exception | None = None, **more: Any) -> Response:
    who, now_ns = who_of(request), site.clock.utc_ns()

    def read() -> tuple[Found, dict[str, str], Any, str]:
        with site.own.connect() as db:
            found = store.require(db, id_of(request))
            row = found.row
            doers = {row[name] for name in ("asked_by", "keyed_by", "unwrapped_by", "closed_by")} - {None}
            names = {name: store.shown(db, name) for name in doers | {a["by"] for a in found.approvals}}
        return found, names, _purpose(site, row["purpose"]), _copy(site, found)

    found, names, purpose, copy = await anyio.to_thread.run_sync(read)
    return site.pages.page(
        request, "release/request.html", 200 if error is None else 409, found=found, row=found.row, names=names,
        step=found.step(now_ns), steps=steps, words=words, mine=found.is_for(who.name, who.roles, now_ns),
        purpose=purpose, copy=words.REFUSAL.get(copy, copy), ticket="", url=site.settings.url,
        error=None if error is None else said(site, request, error), **more,
    )  # fmt: skip


def _purpose(site: Site, purpose: str) -> Any:
    try:
        return in_force(site).roles.purpose(purpose)
    except RolesFault:
        return None


def _copy(site: Site, found: Found) -> str:
    """Why there is no second copy; empty where there is one."""
    try:
        package.copy_of(site, found)
    except StepFault as fault:
        return fault.code
    return ""


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

        def within(db: Connection) -> None:
            found = store.require(db, id_of(request))
            if step is None:
                found.require_open(site.clock.utc_ns())
            else:
                found.require(step, who.name, site.clock.utc_ns())
            do(db, found, roles)  # type: ignore[arg-type]  # without a step nothing is judged by roles

        await store.deed(request, site, act, subject, within)
    except (Refusal, BadInput) as error:
        return await _one(request, site, error)
    return RedirectResponse(f"/release/{id_of(request)}", 303)


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


async def request_json(request: Request, site: Site) -> Response:
    found = await _found(request, site)
    if found.row["request"] is None:
        raise HTTPException(404)
    name = f"{found.row['id']}.json"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(bytes(found.row["request"]), media_type="application/json", headers=headers)


async def for_the_vault(request: Request, site: Site) -> Response:
    """request.json with its signatures, record.json and key.age."""

    def members(found: Found, now: InForce) -> list[package.Member]:
        found.require("unwrap", who_of(request).name, site.clock.utc_ns())
        judge.stands(found, now.roles, site.clock.utc_ns())
        return package.for_the_vault(site, found)

    return await _packed(request, site, f"{id_of(request)}-vault.tar", members)


async def packed(request: Request, site: Site) -> Response:
    def members(found: Found, now: InForce) -> list[package.Member]:
        found.require("give", who_of(request).name, site.clock.utc_ns())
        judge.stands(found, now.roles, site.clock.utc_ns())
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
        return await _one(request, site, error)
    return package.answer(made, name)


async def _found(request: Request, site: Site) -> Found:
    def read() -> Found:
        with site.own.connect() as db:
            return store.require(db, id_of(request))

    return await anyio.to_thread.run_sync(read)


ROUTES: tuple[Route, ...] = (
    Route("/release", ("GET",), MAY, "request_list", overview, menu=N_("Releases and holds")),
    Route("/release/ask/{unit}/{call_id:path}", ("GET",), steps.ASKS, "view", ask_page, subject=subject_of_path),
    Route(
        "/release/ask", ("POST",), steps.ASKS, None, ask, answers=(200, 303, 404, 409)
    ),  # from here on the row is written with what is done
    Route("/release/{id}", ("GET",), MAY, "request_view", one, subject=subject_of),
    Route("/release/{id}/request.json", ("GET",), MAY - {"auditor"}, "request_view", request_json, subject=subject_of),
    Route("/release/{id}/key", ("POST",), steps.KEEPS, None, key, answers=(200, 303, 404, 409)),
    Route("/release/{id}/approve", ("POST",), steps.APPROVES, None, approve, answers=(200, 303, 404, 409)),
    Route("/release/{id}/vault", ("GET",), steps.UNWRAPS, "export", for_the_vault, subject=subject_of),
    Route("/release/{id}/unwrap", ("POST",), steps.UNWRAPS, None, unwrap, answers=(200, 303, 404, 409)),
    Route("/release/{id}/ticket", ("POST",), steps.KEEPS, None, ticket, answers=(200, 303, 404, 409)),
    Route("/release/{id}/package", ("GET",), steps.KEEPS, "export", packed, subject=subject_of),
    Route("/release/{id}/close", ("POST",), MAY - {"auditor"}, None, close, answers=(200, 303, 404, 409)),
)
