# SPDX-License-Identifier: Apache-2.0
"""--policy, --heads, --within: the common options of every command that uses witnesses.

In a desk's folder `policy` is the policy in force and `heads` has the cosigned checkpoints, so that an officer need not
name them. A policy is not signed: like the signers' file it is the verifier's own trust anchor. But the roles in force
may name it by its hash; then a missing, empty or different policy causes a refusal instead of disabling the check.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.roles import RolesFault, Witnesses
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import quorum
from linetap_core.evidence.witness.quorum import Policy
from linetap_desk.accesslog import deskfolder
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import Damaged
from linetap_desk.witnessing.judge import WITHIN_S, NotWitnessed, Rules

POLICY, HEADS, SIGNERS = "policy", "heads", "allowed_signers"
_MOST_HOURS = 24 * 366 * 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the witnesses and their required quorum")
    parser.add_argument("--heads", type=Path, metavar="DIR", help="checkpoints from `linetap checkpoint`: DIR/UNIT/*")
    parser.add_argument(
        "--within", type=float, default=WITHIN_S / 3600, metavar="HOURS",
        help="longest time from a call's end to its first cosignature, default %(default)g",
    )  # fmt: skip


def rules(args: argparse.Namespace, *, binding: bool = True) -> Rules:
    """The rules. BadInput for contradictory options, NotWitnessed if the roles in force name another policy. `binding`:
    False for commands that only read, by a policy of the user's choice."""
    folder = _desk(args)
    policy = _chosen(args.policy, folder / POLICY)
    heads = _chosen(args.heads, folder / HEADS) if policy is not None else args.heads
    asked = named(folder) if binding or args.policy is None else None
    if policy is None and asked is None and heads is not None:
        raise BadInput(f"--heads {heads}: --policy, which names the witnesses, expected beside it")
    if not 0 < args.within <= _MOST_HOURS:
        raise BadInput(f"--within {args.within:g}: hours above 0 expected")
    within_h, checked = args.within, None
    if asked is not None:
        within_h = _within(within_h, asked)
        checked = require_named(policy, asked, folder / POLICY)
    return of_files(policy, heads, within_h, checked)


def of_files(policy: Path | None, heads: Path | None, within_h: float, checked: bytes | None = None) -> Rules:
    """`checked`: the policy's bytes, as `require_named` has read them; the file may be another one by now."""
    if heads is not None and not heads.is_dir():
        raise BadInput(f"{heads}: not a folder; what `linetap checkpoint -o` names expected")
    return Rules(None if policy is None else load_policy(policy, checked), heads, within_h * 3600)


def named(folder: Path) -> Witnesses | None:
    """The witnesses named by the roles in force in a desk's folder. RolesFault if a desk exists without its roles: the
    policy's hash would be lost with them."""
    if not deskfolder.is_made(folder):
        return None
    try:
        authority = deskfolder.read_authority(folder / deskfolder.AUTHORITY)
        return deskfolder.read_roles(folder / deskfolder.ROLES, authority)[2].witnesses
    except BadInput as error:
        raise RolesFault("roles_missing", str(error)) from None


def require_named(policy: Path | None, asked: Witnesses, place: Path | str) -> bytes:
    """The policy's bytes. NotWitnessed unless the file is the named one. `place`: where it should be."""
    want = f"the policy of SHA-256 {asked.policy_sha256} is in force"
    if policy is None or not policy.exists():
        raise NotWitnessed(f"{policy or place}: there is no policy of witnesses, and {want}", "policy_missing")
    try:
        data = callfolder.read(policy, quorum.LIMIT_BYTES)
    except Damaged as error:
        raise NotWitnessed(f"{policy}: {error}; {want}", "policy_missing") from None
    if (found := hashlib.sha256(data).hexdigest()) != asked.policy_sha256:
        raise NotWitnessed(f"{policy}: another policy (SHA-256 {found}): {want}", "policy_differs")
    return data


def _within(within_h: float, asked: Witnesses) -> float:
    """The hours: the roles' value overrides the default, and a larger value is refused."""
    if within_h == WITHIN_S / 3600 or within_h <= asked.within_hours:
        return min(within_h, asked.within_hours)
    text = f"--within {within_h:g}: the roles in force allow {asked.within_hours} h; the authority may sign others"
    raise NotWitnessed(text, "within_too_long")


def signers_for(args: argparse.Namespace, chosen: Rules) -> list[Signer]:
    """The signers of --signers, else of the desk's folder. A policy needs them, since they name the logs' keepers."""
    in_force = _desk(args) / SIGNERS
    path = _chosen(getattr(args, "signers", None), in_force)
    if path is None and chosen.policy is not None:
        raise BadInput("--signers: missing; --policy needs the published allowed_signers, which names the keepers")
    return [] if path is None else callfolder.load_signers(path)


def of_desk(folder: Path) -> Rules:
    """The rules in force in a desk's folder, without any options."""
    return rules(argparse.Namespace(desk=folder, policy=None, heads=None, within=WITHIN_S / 3600))


def _desk(args: argparse.Namespace) -> Path:
    return deskfolder.folder_of(argparse.Namespace(desk=getattr(args, "desk", None)))


def load_policy(path: Path, data: bytes | None = None) -> Policy:
    """The policy in the file, or in `data`, its bytes."""
    try:
        return quorum.parse(callfolder.read(path, quorum.LIMIT_BYTES) if data is None else data)
    except (Damaged, BadInput) as error:
        raise BadInput(callfolder.fault_of(path, error)) from None


def _chosen(given: Path | None, in_force: Path) -> Path | None:
    if given is not None:
        return given
    return in_force if in_force.exists() else None
