# SPDX-License-Identifier: Apache-2.0
"""`linetap roles check|use`: checks the signed list of people and purposes, or puts it into force at a desk."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import APPROVERS
from linetap_core.evidence.authorization.releaserules import Rule, slots
from linetap_core.evidence.authorization.roles import Roles, RolesFault, person_key
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry

# Office -> what is impossible while nobody holds it.
UNHELD = {
    "vault": "no hold, no destroyed day, no confirmation of a unit's clock",
    "custodian": "no rule keeps a custodian from being the requester",
    "operator": "no configuration, update or learned line by a command",
    "desk": "units keep every event and get no second copy: no desk may confirm",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap roles check roles.json --authority authority.pub"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in (
        ("check", "print a roles file that the authority signed"),
        ("use", "the same, and put it into force at this desk; the first one fixes the authority"),
    ):
        verb = verbs.add_parser(
            name, help=text, epilog=f"example: linetap roles {name} roles.json --authority authority.pub"
        )
        verb.add_argument("file", type=Path, metavar="FILE", help="roles.json, with roles.json.sig beside it")
        verb.add_argument(
            "--authority",
            required=name == "check",
            metavar="PUB",
            help="its .pub file (docs/groups.md), or ssh-ed25519 line",
        )
        if name == "use":
            deskfolder.add_argument(verb)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    roles = _use(args, clock) if args.verb == "use" else _check(args)
    sys.stdout.writelines(line + "\n" for line in summary(roles))
    return 0


def summary(roles: Roles) -> list[str]:
    lines = [f"ok: version {roles.version}, signed by the authority"]
    lines += [f"person   {p.name} ({p.role}) {keys.fingerprint(person_key(p.key))}" for p in roles.people]
    lines += [f"nobody   {office}: {UNHELD[office]}" for office in roles.unheld_offices]
    lines += [f"purpose  {p.id}: {p.text_en} | {p.text_ko} | {p.basis}" for p in roles.purposes]
    lines += [_rule(rule) for rule in roles.rules]
    if roles.lines:
        names = len({document.name_key(staff.name) for staff in roles.lines})
        lines.append(f"lines    {len(roles.lines)}, of {names} people")
    if roles.witnesses is not None:
        within = f"within {roles.witnesses.within_hours} h"
        lines.append(f"witness  policy of SHA-256 {roles.witnesses.policy_sha256}, {within}: without it nothing opens")
    if len(roles.approver_roles) < APPROVERS:
        have = ", ".join(roles.approver_roles) or "none"
        lines.append(
            f"warning: approvers of {APPROVERS} roles are needed before anything can be opened; there are: {have}"
        )
    return lines


def _rule(rule: Rule) -> str:
    text = f"{slots(rule.approvals)}; calls of {rule.max_age_days} days; to {rule.may}; stands {rule.expires_days} days"
    return f"rule     {rule.purpose} for {rule.party}: {text}"


def _check(args: argparse.Namespace) -> Roles:
    return deskfolder.read_roles(args.file, deskfolder.read_authority(args.authority))[2]


def _use(args: argparse.Namespace, clock: Clock) -> Roles:
    given = None if args.authority is None else deskfolder.read_authority(args.authority)
    folder = deskfolder.folder_of(args)
    desk = deskfolder.open_desk(folder, clock) if deskfolder.is_complete(folder) else None
    if desk is None:
        if given is None:
            raise BadInput("--authority: the authority's .pub file is needed the first time")
        deskfolder.read_roles(args.file, given)  # before the folder is created
        desk = deskfolder.make(folder, given, clock)
    with desk.access.logged_step(Entry(verb="roles")) as step:
        pinned = deskfolder.read_authority(folder / deskfolder.AUTHORITY)
        if given is not None and given != pinned:
            raise RolesFault(
                "authority_differs", f"--authority: this desk trusts another: {folder / deskfolder.AUTHORITY}"
            )
        at_least = deskfolder.highest_version(step.past)
        data, armored, roles = deskfolder.read_roles(args.file, pinned, at_least)
        step.entry.roles, step.entry.roles_sha256 = roles.version, hashlib.sha256(data).hexdigest()
        _require_one_of_a_version(step.entry, step.past)
        step.granted()
        replace_durably(folder / deskfolder.ROLES, data)
        replace_durably(folder / f"{deskfolder.ROLES}{namespaces.SUFFIX}", armored)
    return roles


def _require_one_of_a_version(new: Entry, past: list[Entry]) -> None:
    same = [e for e in past if (e.verb, e.outcome, e.roles) == ("roles", "granted", new.roles)]
    if any(entry.roles_sha256 != new.roles_sha256 for entry in same):
        raise RolesFault("roles_version_taken", f"another version {new.roles} was in use since {same[0].at}")
