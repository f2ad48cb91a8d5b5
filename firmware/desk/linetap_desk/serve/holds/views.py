# SPDX-License-Identifier: Apache-2.0
"""Shows the pages of holds: the form of a new one, and a hold's state, next step, and commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.evidence.authorization.command import SUFFIX
from linetap_core.evidence.authorization.roles import RolesFault
from linetap_desk.ingest import outgoing
from linetap_desk.serve.handling.site import Site, read_ingest, read_own
from linetap_desk.serve.holds import holdfiles
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import callfiles, common, holdstore, store, texts, uploadchecks
from linetap_desk.serve.release.callfiles import Officers
from linetap_desk.serve.release.checking import roles_in_force
from linetap_desk.serve.release.common import error_texts, id_of
from linetap_desk.serve.release.steps import Chain
from linetap_desk.unsealing.wrapped import Wrapped


async def ask_page(request: Request, site: Site) -> Response:
    row = await common.find_call(site, str(request.path_params["unit"]), str(request.path_params["call_id"]))
    return await show_ask(request, site, row, {})


async def show_ask(
    request: Request, site: Site, row: Any, typed: dict[str, str], error: Exception | None = None
) -> Response:
    return site.pages.page(
        request, "release/hold_ask.html", 200 if error is None else 409, row=row, typed=typed,
        may=common.may_be_requested(row), zone=site.pages.zone.key,
        error=None if error is None else error_texts(site, request, error),
    )  # fmt: skip


async def one(request: Request, site: Site) -> Response:
    return await show_one(request, site)


async def show_one(request: Request, site: Site, error: Exception | None = None) -> Response:
    who, now_ns = session_user(request), site.clock.utc_ns()

    def read() -> tuple[Any, dict[str, str], dict[str, Chain], Wrapped | None, Officers | None, Signatures]:
        with site.own.connect() as db:
            row = holdstore.require_hold(db, id_of(request))
            chains = store.chains(db, [row["id"]])
            chain = chains[row["id"]]
            names = {row[name] for name in ("asked_by", "command_by", "closed_by")} - {None}
            names |= {one.by for one in chain.partials}
            shown = {name: store.display_name(db, name) for name in names}
        held = _earlier_key(site, row)
        key_age = None if held is None else held.key_age
        together = callfiles.officers_of(site, row, chain, who.name, key_age)
        return row, shown, chains, held, together, _signatures(site, row)

    row, names, chains, held, together, signatures = await anyio.to_thread.run_sync(read)
    (asked,) = await read_ingest(site, lambda db: holdstore.with_state(db, [row], now_ns, chains))
    expired = row["command_expires"] is not None and uploadchecks.is_over(row["command_expires"], now_ns)
    return site.pages.page(
        request, "release/hold.html", 200 if error is None else 409, asked=asked, row=row, names=names, words=texts,
        mine=asked.is_for(who.name, who.roles), expired=expired, wrap=_wrap(row, held), sign=_sign(row),
        check=_check(row), officers=together, outgoing=_outgoing(site, row), checked_by=signatures.checked_by,
        cosigned_by=signatures.cosigned_by, may_cosign=who.name not in (row["asked_by"], row["command_by"]),
        is_kept=holdfiles.folder_of(site, row["id"]) is not None, chain=asked.chain,
        error=None if error is None else error_texts(site, request, error),
    )  # fmt: skip


def _earlier_key(site: Site, row: Mapping[str, Any]) -> Wrapped | None:
    """The call's key as an earlier hold has it, or a re-wrapping."""
    try:
        return callfiles.newest_wrapped(site, row, roles_in_force(site).roles)
    except RolesFault:
        return None


@dataclass(frozen=True, slots=True)
class Signatures:
    """The signatures besides the vault officer's: who confirmed that the key opens, and who signed the command too."""

    checked_by: str = ""
    cosigned_by: tuple[str, ...] = ()


def _signatures(site: Site, row: Mapping[str, Any]) -> Signatures:
    try:
        roles = roles_in_force(site).roles
    except RolesFault:
        return Signatures()
    return Signatures(holdfiles.checked_by(site, row, roles), holdstore.cosigners(row["command"], roles))


def _outgoing(site: Site, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state of the command at the ingest; None without a command, or if the ingest sends none."""
    folder = common.outgoing_folder(site)
    if folder is None or row["command"] is None:
        return None
    found = outgoing.delivery_of(folder, row["id"], bytes(row["command"]))
    return {"is_put": outgoing.commands(folder).path(row["id"]).is_file(), "delivery": found}


async def row_of(request: Request, site: Site) -> Mapping[str, Any]:
    return await read_own(site, lambda db: holdstore.require_hold(db, id_of(request)))


def _wrap(row: Mapping[str, Any], held: Wrapped | None) -> str:
    """The command line of the hold, quoted for a shell."""
    options = {"--case": row["case_number"], "--basis": row["basis"], "--until": row["until"]}
    words = " ".join(f"{name} {shlex.quote(value)}" for name, value in options.items())
    call_id = shlex.quote(row["call_id"])
    call = f"calls/{call_id}" if held is None else f"calls/{call_id} --wrapped held/{call_id}"
    return f"linetap hold wrap {call} --identity EPOCH.txt --to age1... {words} --key officer.key"


def _check(row: Mapping[str, Any]) -> str:
    call_id = shlex.quote(row["call_id"])
    return f"linetap hold check holds/{call_id} calls/{call_id} --identity HOLD.txt --key officer.key"


def _sign(row: Mapping[str, Any]) -> str:
    document = shlex.quote(f"holds/{row['call_id']}/hold.json")
    return (
        f"linetap command sign --verb hold --role vault --unit {shlex.quote(row['unit'])} --document {document}"
        f" --key officer.key -o {row['id']}{SUFFIX}"
    )
