# SPDX-License-Identifier: Apache-2.0
"""The witnesses' verdict on a call: checked before anything of it is opened, and shown on its page.

The policy is named in desk.toml ([witnesses]); the signed roles may fix its hash. Custodian, officer and approver check
their own policies again at their own desks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import closing, sealed
from linetap_core.evidence.roles import Roles, RolesFault, Witnesses
from linetap_desk.proofs import callfolder
from linetap_desk.serve.release import package
from linetap_desk.serve.release.rolesfile import in_force
from linetap_desk.serve.site import Site
from linetap_desk.unsealing import callproof
from linetap_desk.unsealing.callproof import Basis
from linetap_desk.witnessing import options
from linetap_desk.witnessing.judge import NOT_WITNESSED, NotWitnessed, Rules


@dataclass(frozen=True, slots=True)
class Verdict:
    """`count` of `of` witnesses had seen the call's close at `at_s` (POSIX). `code`: why it is not opened."""

    state: Literal["no_policy", "witnessed", "not_witnessed"]
    count: int = 0
    of: int = 0
    at_s: int = 0
    code: str = ""


def rules(site: Site, roles: Roles | None) -> Rules:
    """NotWitnessed where a policy is named, here or in the roles, and is not there as it should be."""
    told = site.settings.desk.witnesses
    policy = None if told.policy is None else Path(told.policy)
    if policy is not None and not policy.is_file():
        raise NotWitnessed(f"{policy}: not there, and witnesses.policy names it", "policy_missing")
    heads = None if told.heads is None or policy is None else Path(told.heads)
    asked = [] if roles is None or roles.witnesses is None else [roles.witnesses]
    if told.policy_sha256 is not None:
        asked.append(Witnesses(told.policy_sha256, told.within_hours))
    within_h = min([told.within_hours, *(one.within_hours for one in asked)])
    try:
        for one in asked:
            options.require_named(policy, one, "witnesses.policy")
        return options.of_files(policy, heads, within_h)
    except BadInput as error:
        raise NotWitnessed(str(error), "policy_missing") from None


def verdict(site: Site, row: Mapping[str, Any]) -> Verdict:
    """Of the second copy, for people to read. What counts is judged before each step, with all the rest."""
    try:
        found = rules(site, _roles(site))
    except (NotWitnessed, RolesFault) as error:
        return Verdict("not_witnessed", code=error.code)
    if found.policy is None:
        return Verdict("no_policy")
    try:
        folder = package.copy_of(site, row)
        record = sealed.decode_record(callfolder.read(folder / sealed.RECORD, sealed.RECORD_LIMIT_BYTES))
        signers = callfolder.load_signers(Path(str(site.settings.desk.signers)))
        basis = Basis(signers, rules=found)
        close = callproof.find(folder, record.unit, basis)
        if close is not None:
            closing.check(close, record.unit, record.call_id, row["record_sha256"], signers)
        seen, problem = callproof.witnessed(folder, record, close, basis)
    except (OSError, Refusal, BadInput, ValueError) as error:
        return Verdict("not_witnessed", code=getattr(error, "code", NOT_WITNESSED))
    count, of = (0, len(found.policy.witnesses)) if seen is None else (seen.count, seen.of)
    if problem is not None or seen is None or seen.since_s is None:
        return Verdict("not_witnessed", count, of, code=NOT_WITNESSED if problem is None else problem.code)
    return Verdict("witnessed", count, of, seen.since_s)


def _roles(site: Site) -> Roles | None:
    return in_force(site).roles if site.settings.desk.serve.roles is not None else None
