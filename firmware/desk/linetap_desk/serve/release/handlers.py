# SPDX-License-Identifier: Apache-2.0
"""The forms of a request from its beginning to its close: checked by uploadchecks.py, in the order of steps.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import citizen
from linetap_core.evidence.authorization.release import DEFAULT_DAYS, MOST_DAYS, parse, terms_of
from linetap_core.evidence.authorization.roles import RolesFault
from linetap_core.evidence.calls.callkey import OfCall
from linetap_desk.release import signingpage
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import (
    callfiles,
    checking,
    common,
    package,
    steps,
    store,
    terms,
    texts,
    uploadchecks,
    views,
)
from linetap_desk.serve.release.checking import RolesInForce, roles_in_force
from linetap_desk.serve.release.common import error_texts, id_of, remark, subject_of, upload
from linetap_desk.serve.release.steps import GIVEN, NOT_GIVEN, OFFICER, RequestState, StepFault
from linetap_desk.web.roles import APPROVERS

ASK_FIELDS = ("purpose", "case", "requester", "recipient", "days")
ASK_TAKES = ("unit", "call_id", *ASK_FIELDS)


async def ask_page(request: Request, site: Site) -> Response:
    row = await common.find_call(site, str(request.path_params["unit"]), str(request.path_params["call_id"]))
    return await _ask(request, site, row, {"days": str(DEFAULT_DAYS)})


async def _ask(
    request: Request, site: Site, row: Any, typed: dict[str, str], error: Exception | None = None
) -> Response:
    try:
        common.require_recorded(row)
        roles = (await anyio.to_thread.run_sync(roles_in_force, site)).roles
        choices = terms.choices(roles, row, site.clock.utc_ns())
    except (StepFault, RolesFault) as why:
        choices, error = [], error or why
    return site.pages.page(
        request, "release/ask.html", 200 if error is None else 409, row=row, typed=typed, choices=choices, words=texts,
        most_days=MOST_DAYS, error=None if error is None else error_texts(site, request, error),
    )  # fmt: skip


async def ask(request: Request, site: Site) -> Response:
    form, who = await request.form(), session_user(request)
    row = await common.find_call(site, str(form.get("unit", "")), str(form.get("call_id", "")))
    subject = Subject(calls=(row["call_id"],))
    typed: dict[str, str] = {}
    made: list[Subject] = []
    try:
        typed = {name: uploadchecks.typed_field(form.get(name)) for name in ASK_FIELDS}
        typed["purpose"], typed["party"] = terms.split_value(typed["purpose"])
        if typed["purpose"] == citizen.PURPOSE:
            raise StepFault("citizen_register", "purpose: a citizen's access is requested from its register")
        call = common.require_recorded(row)
        roles = (await anyio.to_thread.run_sync(roles_in_force, site)).roles
        asked = uploadchecks.new_request(call.named, typed, roles, site.clock.utc_ns(), call.unit)
    except (Refusal, BadInput) as error:
        await store.log_refusal(request, site, "request_ask", subject, error)
        return await _ask(request, site, row, typed, error)

    def do(db: Connection) -> Subject:
        made.append(store.add_request(db, site, call.unit, call.named, asked, who.name))
        return made[0]

    await store.run_logged(request, site, "request_ask", subject, do)
    return RedirectResponse(f"/release/{made[0].request}", 303)


FORGETS = frozenset({"request_unwrap", "request_close"})  # these empty the partials of a group
CHECKED: tuple[steps.Step, ...] = ("approve", "unwrap", "give")


@dataclass(frozen=True, slots=True)
class Verified:
    """The results of the checks before the transaction: the call, and every key.age that may be opened for it."""

    checked: checking.Checked
    keys: tuple[bytes, ...] = ()


Do = Callable[[Connection, RequestState, RolesInForce, Verified], Subject | None]


async def _step(request: Request, site: Site, act: str, step: steps.Step | None, prepare: Any) -> Response:
    """Runs one step: `prepare(form)` reads the form and returns the function to run in the transaction."""
    form, subject = await request.form(), await subject_of(request)
    who = session_user(request)
    try:
        try:
            do: Do = await prepare(form)
            roles = await anyio.to_thread.run_sync(roles_in_force, site) if step is not None else None
        except (Refusal, BadInput) as error:
            await store.log_refusal(request, site, act, subject, error)
            raise

        verified = Verified(checking.Checked())
        if roles is not None and step in CHECKED:
            verified = await _verify_call(request, site, roles)

        def within(db: Connection) -> Subject | None:
            state = store.require_request(db, id_of(request))
            if step is None:
                state.require_open(site.clock.utc_ns())
            else:
                state.require(step, who.name, site.clock.utc_ns())
            if verified.checked.fault is not None:
                raise verified.checked.fault
            return do(db, state, roles, verified)  # type: ignore[arg-type]  # without a step nothing is judged by roles

        await store.run_logged(request, site, act, subject, within, forgets=act in FORGETS)
    except (Refusal, BadInput) as error:
        return await views.page(request, site, error)
    return RedirectResponse(f"/release/{id_of(request)}", 303)


async def _verify_call(request: Request, site: Site, roles: RolesInForce) -> Verified:
    def read() -> Verified:
        with site.own.connect() as db:
            state = store.read_request(db, id_of(request))
        checked = checking.check(site, None if state is None else state.row, roles.roles)
        if state is None or checked.call is None:
            return Verified(checked)
        wrapped = callfiles.newest_wrapped(site, state.row, roles.roles)
        anew = () if wrapped is None else (wrapped.key_age,)
        return Verified(checked, (checked.call.key.data, *anew))

    return await anyio.to_thread.run_sync(read)


async def key(request: Request, site: Site) -> Response:
    async def prepare(form: FormData) -> Do:
        one_time = uploadchecks.typed_field(form.get("one_time"))

        def do(db: Connection, state: RequestState, now: RolesInForce, _: Verified) -> None:
            page = signingpage.sha256() if site.settings.signing else ""
            data = uploadchecks.with_key(state, one_time, now.roles, site.clock.utc_ns(), page)
            needed = len(terms_of(parse(data), now.roles).approvals)
            store.update_request(db, state.row["id"], one_time=one_time, request=data,
                                 keyed_by=session_user(request).name, approvals_needed=needed)  # fmt: skip

        return do

    return await _step(request, site, "request_key", "key", prepare)


async def approve(request: Request, site: Site) -> Response:
    async def prepare(form: FormData) -> Do:
        sig, who = await upload(form), session_user(request)
        role = next(iter(who.roles & APPROVERS))

        def do(db: Connection, state: RequestState, now: RolesInForce, _: Verified) -> None:
            asker = store.display_name(db, state.row["asked_by"])
            person = uploadchecks.checked_approval(state, sig, role, asker, now.roles, site.clock.utc_ns())
            store.add_approval(db, state.row["id"], role=role, signer=person.name, signer_role=person.role, sig=sig,
                          by=who.name, at=rfc3339(site.clock.utc_ns()))  # fmt: skip

        return do

    return await _step(request, site, "request_approve", "approve", prepare)


async def partial(request: Request, site: Site) -> Response:
    """Stores the partial of a group's officer who is not the last, encrypted to the next ones."""

    async def prepare(form: FormData) -> Do:
        data, who = await upload(form), session_user(request)

        def do(db: Connection, state: RequestState, now: RolesInForce, verified: Verified) -> Subject:
            now_ns = site.clock.utc_ns()
            uploadchecks.require_approved(state, now.roles, now_ns)
            made = store.add_officer_partial(db, state.row["id"], data, verified.keys, who.name, rfc3339(now_ns))
            return store.subject(state.row, f"member {made.numbers}, {made.left} to come")

        return do

    return await _step(request, site, "request_partial", "unwrap", prepare)


async def unwrap(request: Request, site: Site) -> Response:
    """Stores the half itself, from the only officer or the last of a group."""

    async def prepare(form: FormData) -> Do:
        data, together = await upload(form), form.get("together") == "on"

        def do(db: Connection, state: RequestState, now: RolesInForce, verified: Verified) -> None:
            now_ns = site.clock.utc_ns()
            uploadchecks.require_approved(state, now.roles, now_ns)
            uploadchecks.require_half(state, data, verified.keys, session_user(request).name, together=together)
            store.empty_partials(db, state.row["id"], OFFICER)
            store.update_request(db, state.row["id"], inner_age=data, unwrapped_by=session_user(request).name,
                         unwrapped_at=rfc3339(now_ns))  # fmt: skip

        return do

    return await _step(request, site, "request_unwrap", "unwrap", prepare)


async def handed(request: Request, site: Site) -> Response:
    """Stores the partial of a group's custodian who is not the last, encrypted to the next ones."""

    async def prepare(form: FormData) -> Do:
        data, who = await upload(form), session_user(request)

        def do(db: Connection, state: RequestState, now: RolesInForce, verified: Verified) -> Subject:
            now_ns = site.clock.utc_ns()
            uploadchecks.require_approved(state, now.roles, now_ns)
            call = OfCall(state.row["unit"], state.row["call_id"])
            named = verified.checked.call is not None and bool(verified.checked.call.key.inner_sha256)
            made = store.add_custodian_partial(db, state.row["id"], data, call, named, who.name, rfc3339(now_ns))
            return store.subject(state.row, f"{made.left} to come")

        return do

    return await _step(request, site, "request_handed", "give", prepare)


async def close(request: Request, site: Site) -> Response:
    """Closes the request: as given, by the custodian in the last step; or as refused, by any of its people, with a
    remark."""

    async def prepare(form: FormData) -> Do:
        who, outcome = session_user(request), GIVEN if form.get("outcome") == GIVEN else NOT_GIVEN
        text = remark(form, needed=outcome == NOT_GIVEN)

        def do(db: Connection, state: RequestState, _now: RolesInForce, _: Verified) -> None:
            now_ns = site.clock.utc_ns()
            if outcome == GIVEN:
                if "custodian" not in who.roles:
                    raise StepFault("step_not_yet", "only a custodian may report that it was handed over")
                state.require("give", who.name, now_ns)
                if any(one.by == who.name for one in state.chain.custodians):
                    why = f"request {state.row['id']}: {who.name} has handed it on, and the last one gives it out"
                    raise StepFault("one_person_two_steps", why)
            store.empty_partials(db, state.row["id"])
            store.update_request(db, state.row["id"], outcome=outcome, remark=text, closed_by=who.name,
                         closed_at=rfc3339(now_ns))  # fmt: skip

        return do

    return await _step(request, site, "request_close", None, prepare)


async def ticket(request: Request, site: Site) -> Response:
    """Issues a ticket, shown in this response only."""
    made: list[str] = []

    async def prepare(_form: FormData) -> Do:
        def do(db: Connection, state: RequestState, now: RolesInForce, _: Verified) -> None:
            now_ns = site.clock.utc_ns()
            uploadchecks.require_approved(state, now.roles, now_ns)
            package.members(site, state, now)
            made.append(store.make_ticket(db, state.row["id"], session_user(request).name, now_ns))

        return do

    answer = await _step(request, site, "request_ticket", "give", prepare)
    if not made:
        return answer
    return site.pages.page(
        request, "release/ticket.html", id=id_of(request), ticket=made[0], url=site.settings.url,
        minutes=store.TICKET_S // 60,
    )  # fmt: skip
