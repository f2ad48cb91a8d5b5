# SPDX-License-Identifier: Apache-2.0
"""Verifies the whole second copy before each approval, opening or hold on these pages, as the key holders' tools do.

It uses this desk's signers' file and witnesses' policy ([witnesses] in desk.toml; the signed roles may fix the policy's
hash). Custodian, officer and approver verify again with their own tools and policies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import NotReleased, parse
from linetap_core.evidence.authorization.roles import Roles, RolesFault, Witnesses
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import closing
from linetap_desk.accesslog.deskfolder import read_authority, read_roles
from linetap_desk.proofs import callfolder
from linetap_desk.release import requestfile
from linetap_desk.serve.database.tables import roles_seen
from linetap_desk.serve.database.transactions import one_at_a_time, writing
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.release import callfiles
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.unsealing import callproof, checkedcall
from linetap_desk.unsealing.callproof import Basis
from linetap_desk.unsealing.checkedcall import CheckedCall
from linetap_desk.witnessing import options
from linetap_desk.witnessing.judge import NO_RULES, NOT_WITNESSED, NotWitnessed, Rules

_LOCK = 0x6C74726F6C
_ONLY = 1


@dataclass(frozen=True, slots=True)
class RolesInForce:
    data: bytes
    sig: bytes
    roles: Roles


def roles_in_force(site: Site) -> RolesInForce:
    """The roles in force. RolesFault states why there are none."""
    serve = site.settings.desk.serve
    if serve.roles is None or serve.authority is None:
        raise RolesFault("roles_missing", "serve.roles and serve.authority are missing in desk.toml")
    with site.own.connect() as db:
        version, sha256 = _last_version(db)
    try:
        data, sig, roles = read_roles(Path(serve.roles), read_authority(Path(serve.authority)), version)
    except BadInput as error:
        raise RolesFault("roles_missing", str(error)) from None
    digest = hashlib.sha256(data).hexdigest()
    if roles.version == version and sha256 and digest != sha256:
        raise RolesFault("roles_version_taken", f"another version {version} was in use here")
    if digest != sha256:
        with writing(site.own) as db:
            one_at_a_time(db, _LOCK)
            if _last_version(db)[0] <= roles.version:
                db.execute(delete(roles_seen))
                db.execute(insert(roles_seen).values(id=_ONLY, version=roles.version, sha256=digest))
    return RolesInForce(data, sig, roles)


def _last_version(db: Connection) -> tuple[int, str]:
    found = db.execute(select(roles_seen.c.version, roles_seen.c.sha256)).one_or_none()
    return (1, "") if found is None else (found.version, found.sha256)


_RECORDS = f"*/[0-9]*/*/*/*/{sealed.RECORD}"  # UNIT/2026/11/24/CALL_ID


def require_one_record(store: Path, call: CheckedCall) -> None:
    """NotReleased if another record among the copies names the same sealed key: one of the two is forged.

    A thief of a unit's key can sign a record of call A with the key.age of call B. A key names its call today; if this
    one does not, as in version 0.1, every record of the store is read.
    """
    if call.key.inner_sha256:
        return
    digest = call.key.sha256.encode()
    for path in store.glob(_RECORDS):
        if path.parent == call.folder:
            continue
        try:
            found = digest in callfolder.read(path, sealed.RECORD_LIMIT_BYTES)
        except callfolder.Damaged:
            continue
        if found:
            text = f"{sealed.KEY}: the record of {path.parent.name} names the same, and it cannot be of both calls"
            raise NotReleased("key_of_another_call", text)


@dataclass(frozen=True, slots=True)
class WitnessVerdict:
    """The witnesses' verdict: at `at_s` (POSIX), `count` of `of` witnesses had seen the call's close. `code`: why it is
    not opened."""

    state: Literal["no_policy", "witnessed", "not_witnessed"]
    count: int = 0
    of: int = 0
    at_s: int = 0
    code: str = ""


def witness_rules(site: Site, roles: Roles | None) -> Rules:
    """The witnesses' rules. NotWitnessed if desk.toml or the roles name a policy, and its file is missing or
    differs."""
    configured = site.settings.desk.witnesses
    policy = None if configured.policy is None else Path(configured.policy)
    if policy is not None and not policy.is_file():
        raise NotWitnessed(f"{policy}: not there, and witnesses.policy names it", "policy_missing")
    heads = None if configured.heads is None or policy is None else Path(configured.heads)
    asked = [] if roles is None or roles.witnesses is None else [roles.witnesses]
    if configured.policy_sha256 is not None:
        asked.append(Witnesses(configured.policy_sha256, configured.within_hours))
    within_h = min([configured.within_hours, *(one.within_hours for one in asked)])
    try:
        checked = None
        for one in asked:
            checked = options.require_named(policy, one, "witnesses.policy")
        return options.of_files(policy, heads, within_h, checked)
    except BadInput as error:
        raise NotWitnessed(str(error), "policy_missing") from None


def witness_verdict(site: Site, row: Mapping[str, Any]) -> WitnessVerdict:
    """The verdict on the second copy, for display; `require_call` checks it before each step."""
    try:
        found = witness_rules(site, _roles(site))
    except (NotWitnessed, RolesFault) as error:
        return WitnessVerdict("not_witnessed", code=error.code)
    if found.policy is None:
        return WitnessVerdict("no_policy")
    try:
        folder = callfiles.copy_folder(site, row)
        record = sealed.decode_record(callfolder.read(folder / sealed.RECORD, sealed.RECORD_LIMIT_BYTES))
        signers = callfolder.load_signers(Path(str(site.settings.desk.signers)))
        basis = Basis(signers, rules=found)
        close = callproof.find_closing(folder, record.unit, basis)
        if close is not None:
            closing.check(close, record.unit, record.call_id, row["record_sha256"], signers)
        seen, problem = callproof.witnessed(folder, record, close, basis)
    except (OSError, Refusal, BadInput, ValueError) as error:
        return WitnessVerdict("not_witnessed", code=getattr(error, "code", NOT_WITNESSED))
    count, of = (0, len(found.policy.witnesses)) if seen is None else (seen.count, seen.of)
    if problem is not None or seen is None or seen.since_s is None:
        return WitnessVerdict("not_witnessed", count, of, code=NOT_WITNESSED if problem is None else problem.code)
    return WitnessVerdict("witnessed", count, of, seen.since_s)


def _roles(site: Site) -> Roles | None:
    return roles_in_force(site).roles if site.settings.desk.serve.roles is not None else None


@dataclass(frozen=True, slots=True)
class Checked:
    """The call, or the fault found by its check."""

    call: CheckedCall | None = None
    fault: Exception | None = None


def require_call(site: Site, row: Mapping[str, Any], roles: Roles, *, opens: bool = True) -> CheckedCall:
    """The verified call. StepFault or NotReleased unless the copy is the call of `row`. `opens` False for a hold, which
    opens nothing and must also protect an unwitnessed call."""
    folder, signers = callfiles.copy_folder(site, row), site.settings.desk.signers
    if not signers:
        raise StepFault("signers_needed", "signers: desk.toml names no published allowed_signers")
    try:
        rules = witness_rules(site, roles) if opens else NO_RULES
        call = checkedcall.require_verified(folder, Basis(callfolder.load_signers(Path(signers)), roles, rules=rules))
    except OSError:
        raise StepFault("copy_unreadable", f"{row['call_id']}: its second copy cannot be read whole") from None
    asked = (row["unit"], row["call_id"], row["record_sha256"])
    if (call.record.unit, call.record.call_id, call.record_sha256) != asked:
        raise NotReleased("record_differs", f"{row['call_id']}: the second copy is not of the requested record")
    require_one_record(folder.parents[4], call)
    if row.get("request"):
        requestfile.require_named(parse(bytes(row["request"])), call, roles)
    return call


def check(site: Site, row: Mapping[str, Any] | None, roles: Roles) -> Checked:
    """`require_call`, with its fault returned, so that a step that is not due is refused for that reason first."""
    if row is None:
        return Checked()
    try:
        return Checked(require_call(site, row, roles))
    except (Refusal, BadInput) as error:
        return Checked(fault=error)
