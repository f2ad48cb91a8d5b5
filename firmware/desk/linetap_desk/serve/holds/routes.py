# SPDX-License-Identifier: Apache-2.0
"""The steps of holds: an officer requests one, the vault officer uploads a signed command, the unit reports the hold.

The pages send nothing themselves: their certificate may only read at the broker (systemd/mosquitto/acl). With
`outgoing` in desk.toml the command is handed to the ingest, which checks and sends it (ingest/outgoing.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.command import SUFFIX, CommandFault
from linetap_core.evidence.authorization.release import CASE_LIMIT, NotReleased
from linetap_core.evidence.signing import document
from linetap_desk.accesslog.deskfolder import read_authority
from linetap_desk.ingest import outgoing
from linetap_desk.ingest.commandfiles import sha256_of
from linetap_desk.release import holdrequest
from linetap_desk.release.holdrequest import HoldRequest
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.database.tables import holds
from linetap_desk.serve.handling.site import Route, Site, read_ingest, subject_of_path
from linetap_desk.serve.holds import holdfiles, views
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import callfiles, checking, common, holdstore, package, store, uploadchecks
from linetap_desk.serve.release.checking import roles_in_force
from linetap_desk.serve.release.common import DONE_OR_NOT, FILE, id_of, remark, subject_of, upload
from linetap_desk.serve.release.holdstore import RequestedHold
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.web.roles import APPROVERS, OFFICER, READS_CALLS, VAULT

FIELDS = ("case", "basis", "until")


async def ask(request: Request, site: Site) -> Response:
    form, who, now_ns = await request.form(), session_user(request), site.clock.utc_ns()
    row = await common.find_call(site, str(form.get("unit", "")), str(form.get("call_id", "")))
    subject = Subject(calls=(row["call_id"],))
    typed: dict[str, str] = {}
    made: list[str] = []
    try:
        typed = {name: uploadchecks.typed_field(form.get(name)) for name in FIELDS}
        call = common.require_recorded(row)
        document.require_plain(typed["case"], "case", CASE_LIMIT)
        document.require_plain(typed["basis"], "basis", holdstore.TEXT_LIMIT)
        until = holdstore.hold_end(typed["until"], site.pages.zone.key, now_ns)
    except (Refusal, BadInput) as error:
        await store.log_refusal(request, site, "hold_ask", subject, error)
        return await views.show_ask(request, site, row, typed, error)

    def do(db: Connection) -> Subject:
        made.append(store.new_id(db, site, holds, "H"))
        values = {
            "id": made[0], "unit": call.unit, "call_id": call.named.call_id,
            "record_sha256": call.named.record_sha256, "case_number": typed["case"], "basis": typed["basis"],
            "until": until, "asked_by": who.name, "asked_at": rfc3339(now_ns),
        }  # fmt: skip
        holdstore.add_hold(db, values)
        return store.subject(values)

    await store.run_logged(request, site, "hold_ask", subject, do)
    return RedirectResponse(f"/hold/{made[0]}", 303)


def _hand_over(site: Site, hold_id: str, data: bytes | None) -> None:
    """Hands the command to the ingest; None withdraws it."""
    if (folder := common.outgoing_folder(site)) is not None:
        if data is None:
            outgoing.commands(folder).withdraw(hold_id)
        else:
            outgoing.withdraw_old(folder, site.clock.utc_ns())
            outgoing.commands(folder).put(hold_id, data)


async def send(request: Request, site: Site) -> Response:
    """Hands the command over again, or for the first time if the ingest has begun to send holds since."""

    async def prepare(_form: FormData, asked: RequestedHold) -> Do:
        row = asked.row
        if common.outgoing_folder(site) is None or asked.state != "send":
            raise StepFault("step_not_yet", f"{row['id']}: there is no command, or nobody here who sends it")
        if uploadchecks.is_over(row["command_expires"], site.clock.utc_ns()):
            raise CommandFault("command_expired", f"it was good until {row['command_expires']}")
        await anyio.to_thread.run_sync(_hand_over, site, row["id"], bytes(row["command"]))
        return lambda _db: None

    return await _step(request, site, "hold_send", prepare)


Do = Callable[[Connection], Subject | None]
Prepare = Callable[[FormData, RequestedHold], Awaitable[Do]]
_BEFORE_IT_IS_HELD = ("command", "send")


async def _step(
    request: Request, site: Site, act: str, prepare: Prepare, states: tuple[str, ...] = _BEFORE_IT_IS_HELD
) -> Response:
    """Runs one step. `prepare` checks the upload, and returns the function to run in the transaction; a refusal has the
    reason."""
    form, subject, now_ns = await request.form(), await subject_of(request), site.clock.utc_ns()
    row = await views.row_of(request, site)
    (asked,) = await read_ingest(site, lambda db: holdstore.with_state(db, [row], now_ns))
    try:
        try:
            _require_open(row)
            if asked.state not in states:
                raise StepFault("step_done", f"{row['id']}: {asked.state}")
            do = await prepare(form, asked)
        except (Refusal, BadInput) as error:
            await store.log_refusal(request, site, act, subject, error)
            raise

        def within(db: Connection) -> Subject | None:
            _require_open(holdstore.require_hold(db, row["id"]))  # checking an upload takes seconds
            return do(db)

        await store.run_logged(request, site, act, subject, within, forgets=act != "hold_partial")
    except (Refusal, BadInput) as error:
        return await views.show_one(request, site, error)
    return RedirectResponse(f"/hold/{row['id']}", 303)


def _require_open(row: Mapping[str, Any]) -> None:
    if row["closed_at"] is not None:
        raise NotReleased("request_closed", f"{row['id']} was closed")


async def bring(request: Request, site: Site) -> Response:
    who = session_user(request)

    async def prepare(form: FormData, asked: RequestedHold) -> Do:
        data, now_ns, row = await upload(form), site.clock.utc_ns(), asked.row
        _require_other(row, who.name)
        roles = (await anyio.to_thread.run_sync(roles_in_force, site)).roles
        authority = read_authority(Path(str(site.settings.desk.serve.authority)))
        await anyio.to_thread.run_sync(lambda: checking.require_call(site, row, roles, opens=False))
        expires, signer = holdstore.signed_hold(data, row, roles, authority, now_ns)

        def do(db: Connection) -> None:
            chain = store.chains(db, [row["id"]])[row["id"]]
            if not chain.waits_for(who.name):
                raise StepFault("one_person_two_steps", f"{row['id']}: {who.name} has taken a layer off before")
            store.empty_partials(db, row["id"])
            holdstore.update_hold(
                db, row["id"], command=data, signer=signer, command_expires=expires, command_by=who.name,
                command_at=rfc3339(now_ns),
            )  # fmt: skip
            holdfiles.write_files(site, row["id"], callfiles.of_command(data))

        return do

    return await _handed_over(request, site, await _step(request, site, "hold_command", prepare))


async def _handed_over(request: Request, site: Site, answer: Response) -> Response:
    """Hands the command to the ingest, after it is stored in the database; not one that was closed meanwhile."""
    if answer.status_code == 303:
        row = await views.row_of(request, site)
        await anyio.to_thread.run_sync(_hand_over, site, row["id"], bytes(row["command"]))
        if (await views.row_of(request, site))["closed_at"] is not None:
            await anyio.to_thread.run_sync(_hand_over, site, row["id"], None)
    return answer


async def cosigned(request: Request, site: Site) -> Response:
    """Stores the same command with a second person's signature, as required for a hold that ends before the one in
    force."""
    who = session_user(request)

    async def prepare(form: FormData, asked: RequestedHold) -> Do:
        data, row = await upload(form), asked.row
        if asked.state != "send":
            raise StepFault("step_not_yet", f"{row['id']}: there is no command yet")
        if who.name in (row["asked_by"], row["command_by"]):
            raise StepFault("one_person_two_steps", f"{row['id']}: {who.name} has taken another of its steps")
        roles = (await anyio.to_thread.run_sync(roles_in_force, site)).roles
        authority = read_authority(Path(str(site.settings.desk.serve.authority)))
        holdstore.require_cosigned(data, bytes(row["command"]))
        holdstore.signed_hold(data, row, roles, authority, site.clock.utc_ns())

        def do(db: Connection) -> None:
            if holdstore.require_hold(db, row["id"])["command"] != row["command"]:
                raise StepFault("step_done", f"{row['id']}: another command was uploaded meanwhile")
            holdstore.update_hold(db, row["id"], command=data)

        return do

    return await _handed_over(request, site, await _step(request, site, "hold_cosign", prepare))


async def partial(request: Request, site: Site) -> Response:
    """Stores the partial of a group's officer; the last officer uploads the command instead."""
    who = session_user(request)

    async def prepare(form: FormData, asked: RequestedHold) -> Do:
        data, now_ns, row = await upload(form), site.clock.utc_ns(), asked.row
        _require_other(row, who.name)
        if asked.state == "send" and not uploadchecks.is_over(row["command_expires"], now_ns):
            raise StepFault("step_done", f"{row['id']}: a command was uploaded already")
        roles = (await anyio.to_thread.run_sync(roles_in_force, site)).roles

        def keys_of() -> list[bytes]:
            call = checking.require_call(site, row, roles, opens=False)
            held = callfiles.newest_wrapped(site, row, roles)
            return [call.key.data] if held is None else [held.key_age, call.key.data]

        keys = await anyio.to_thread.run_sync(keys_of)

        def do(db: Connection) -> Subject:
            made = store.add_officer_partial(db, row["id"], data, keys, who.name, rfc3339(now_ns))
            return store.subject(row, f"member {made.numbers}, {made.left} to come")

        return do

    return await _step(request, site, "hold_partial", prepare)


def _require_other(row: Mapping[str, Any], name: str) -> None:
    if row["asked_by"] == name:
        raise StepFault("one_person_two_steps", f"{row['id']}: {name} has requested it")


async def check(request: Request, site: Site) -> Response:
    """Stores another vault officer's signature, made by `linetap hold check`."""

    async def prepare(form: FormData, asked: RequestedHold) -> Do:
        data, roles = await upload(form), (await anyio.to_thread.run_sync(roles_in_force, site)).roles
        if asked.row["command"] is None:
            raise StepFault("step_not_yet", f"{asked.row['id']}: there is no command yet")
        if holdfiles.checked_by(site, asked.row, roles):
            raise StepFault("step_done", f"{asked.row['id']}: it was checked already")
        return lambda _db: holdfiles.take_check(site, asked.row, data, roles)

    return await _step(request, site, "hold_check", prepare, ("command", "send", "held"))


async def check_file(request: Request, site: Site) -> Response:
    """An archive of the call without its audio, and the hold's papers."""

    def members(row: Mapping[str, Any]) -> list[package.Member]:
        if row["command"] is None:
            raise StepFault("step_not_yet", f"{row['id']}: there is no command yet")
        wrapped = holdfiles.of_row(row).members()
        return [package.as_member(f"holds/{row['call_id']}/{name}", data) for name, data in wrapped.items()]

    return await _archive(request, site, "check", members)


async def close(request: Request, site: Site) -> Response:
    """Withdraws the request; a hold in force at the unit continues until its end."""

    async def prepare(form: FormData, asked: RequestedHold) -> Do:
        text, now, hold_id = remark(form, needed=True), rfc3339(site.clock.utc_ns()), asked.row["id"]

        def do(db: Connection) -> None:
            store.empty_partials(db, hold_id)
            holdstore.update_hold(db, hold_id, remark=text, closed_by=session_user(request).name, closed_at=now)

        return do

    answer = await _step(request, site, "hold_close", prepare)
    if answer.status_code == 303:
        await anyio.to_thread.run_sync(_hand_over, site, id_of(request), None)
    return answer


async def call_file(request: Request, site: Site) -> Response:
    """An archive of the call without its audio, for `linetap hold wrap`; its key as an earlier hold has it; and earlier
    partials."""

    def members(row: Mapping[str, Any]) -> list[package.Member]:
        with site.own.connect() as db:
            chain = store.chains(db, [row["id"]])[row["id"]]
        held = callfiles.newest_wrapped(site, row, roles_in_force(site).roles)
        anew = {} if held is None else held.members()
        named = [package.as_member(f"held/{row['call_id']}/{name}", data) for name, data in anew.items()]
        return named + package.handed_on(site, row["id"], chain, "" if held is None else sha256_of(held.key_age))

    return await _archive(request, site, "call", members)


async def _archive(
    request: Request, site: Site, name: str, more: Callable[[Mapping[str, Any]], list[package.Member]]
) -> Response:
    """An archive of the requested hold, the verified call without its audio, and `more` files of this hold."""
    row = await views.row_of(request, site)

    def members() -> list[package.Member]:
        checking.require_call(site, row, roles_in_force(site).roles, opens=False)
        asked = HoldRequest(
            id=row["id"], unit=row["unit"], call_id=row["call_id"], case=row["case_number"], basis=row["basis"],
            until=row["until"],
        )  # fmt: skip
        named = package.as_member(holdrequest.NAME, holdrequest.encode(asked))
        return [named, *package.of_call(site, row), *more(row)]

    try:
        made = await anyio.to_thread.run_sync(members)
    except (Refusal, BadInput) as error:
        await store.log_refusal(request, site, "export", store.subject(row), error)
        return await views.show_one(request, site, error)
    return package.answer(made, f"{row['id']}-{name}.tar")


async def command_file(request: Request, site: Site) -> Response:
    row = await views.row_of(request, site)
    if row["command"] is None:
        raise HTTPException(404)
    headers = {"content-disposition": f'attachment; filename="{row["id"]}{SUFFIX}"'}
    return Response(bytes(row["command"]), media_type="application/json", headers=headers)


COSIGNS = VAULT | APPROVERS
ROUTES: tuple[Route, ...] = (
    Route("/hold/ask/{unit}/{call_id:path}", ("GET",), OFFICER, "view", views.ask_page, subject=subject_of_path),
    Route("/hold/ask", ("POST",), OFFICER, None, ask, takes=("unit", "call_id", *FIELDS), answers=DONE_OR_NOT),
    Route("/hold/{id}", ("GET",), READS_CALLS, "hold_view", views.one, subject=subject_of),
    Route("/hold/{id}/command", ("POST",), VAULT, None, bring, takes=FILE, answers=DONE_OR_NOT),
    Route("/hold/{id}/cosigned", ("POST",), COSIGNS, None, cosigned, takes=FILE, answers=DONE_OR_NOT),
    Route("/hold/{id}/send", ("POST",), VAULT, None, send, answers=DONE_OR_NOT),
    Route("/hold/{id}/partial", ("POST",), VAULT, None, partial, takes=FILE, answers=DONE_OR_NOT),
    Route("/hold/{id}/call", ("GET",), VAULT, "export", call_file, subject=subject_of),
    Route("/hold/{id}/check", ("GET",), VAULT, "export", check_file, subject=subject_of),
    Route("/hold/{id}/check", ("POST",), VAULT, None, check, takes=FILE, answers=DONE_OR_NOT),
    Route(f"/hold/{{id}}/hold{SUFFIX}", ("GET",), COSIGNS, "hold_view", command_file, subject=subject_of),
    Route("/hold/{id}/close", ("POST",), OFFICER | VAULT, None, close, takes=("remark",), answers=DONE_OR_NOT),
)
