# SPDX-License-Identifier: Apache-2.0
"""--policy, --heads, --within: the same for every command that asks for witnesses.

In a desk's folder `policy` is the policy in force and `heads` what was cosigned, so that an officer need not name them.
A policy is not signed: like the signers' file it is what the verifier trusts, and comes from the verifier.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap.desk import callfolder, deskfolder
from linetap.desk.callfolder import Damaged
from linetap.desk.witnessing.judge import WITHIN_S, Rules
from linetap.errors import BadInput
from linetap.evidence import quorum
from linetap.evidence.quorum import Policy
from linetap.evidence.signers import Signer

POLICY, HEADS, SIGNERS = "policy", "heads", "allowed_signers"
_MOST_HOURS = 24 * 366 * 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", type=Path, metavar="FILE", help="names witnesses and their quorum: less is refused")
    parser.add_argument("--heads", type=Path, metavar="DIR", help="what linetap checkpoint has brought: DIR/UNIT/*")
    parser.add_argument(
        "--within", type=float, default=WITHIN_S / 3600, metavar="HOURS",
        help="from a call's end to its first witness, default %(default)g",
    )  # fmt: skip


def rules(args: argparse.Namespace) -> Rules:
    """BadInput for options that do not fit together."""
    folder = _desk(args)
    policy = _chosen(args.policy, folder / POLICY)
    heads = _chosen(args.heads, folder / HEADS) if policy is not None else args.heads
    if policy is None and heads is not None:
        raise BadInput(f"--heads {heads}: --policy, which says whose cosignatures count, would be right beside it")
    if heads is not None and not heads.is_dir():
        raise BadInput(f"{heads}: not a folder; what `linetap checkpoint -o` names would be right")
    if not 0 < args.within <= _MOST_HOURS:
        raise BadInput(f"--within {args.within:g}: hours above 0 would be right")
    return Rules(None if policy is None else load(policy), heads, args.within * 3600)


def signers_for(args: argparse.Namespace, chosen: Rules) -> list[Signer]:
    """Of --signers, else of the desk's folder; under a policy there must be some, for they name the logs' keepers."""
    in_force = _desk(args) / SIGNERS
    path = _chosen(getattr(args, "signers", None), in_force)
    if path is None and chosen.policy is not None:
        raise BadInput("--signers: with a policy the published allowed_signers, which names the keepers, is needed")
    return [] if path is None else callfolder.load_signers(path)


def of_desk(folder: Path) -> Rules:
    """Those in force in a desk's folder, where nobody has typed any."""
    return rules(argparse.Namespace(desk=folder, policy=None, heads=None, within=WITHIN_S / 3600))


def _desk(args: argparse.Namespace) -> Path:
    return deskfolder.folder_of(argparse.Namespace(desk=getattr(args, "desk", None)))


def load(path: Path) -> Policy:
    try:
        return quorum.parse(callfolder.read(path, quorum.LIMIT_BYTES))
    except (Damaged, BadInput) as error:
        raise BadInput(f"{path}: {error}") from None


def _chosen(given: Path | None, in_force: Path) -> Path | None:
    if given is not None:
        return given
    return in_force if in_force.exists() else None
