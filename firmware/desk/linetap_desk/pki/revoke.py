# SPDX-License-Identifier: Apache-2.0
"""`linetap pki revoke|list`: what no longer counts, and what ends soon."""

from __future__ import annotations

import argparse
import sys

from linetap_core.clock import NS_PER_DAY, Clock, parse_rfc3339, rfc3339
from linetap_core.enrolment.certificates import Role, common_name
from linetap_core.enrolment.request import PkiFault
from linetap_core.errors import BadInput
from linetap_desk.pki import authority
from linetap_desk.pki.register import Issued, Register

_NEVER = "9999"  # behind every time
_ROLES: tuple[Role, ...] = ("desk", "broker")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="floor-03, desk:seoul or broker:HOST")
    parser.add_argument(
        "--since", metavar="TIME", help="RFC 3339: from when on its signatures are in doubt; default now"
    )
    parser.add_argument(
        "--keep-signer", action="store_true", help="of a unit: the TLS key alone is lost, its signatures go on counting"
    )


def run(args: argparse.Namespace, clock: Clock) -> int:
    role, name = _whose(args.name)
    now_ns = clock.utc_ns()
    since = rfc3339(now_ns) if args.since is None else _since(args.since, now_ns)
    with authority.opened(args.dir, clock) as ca:
        entries = ca.register.standing(role, name) or _again(ca.register, role, name, since, args.keep_signer)
        if not entries:
            raise PkiFault("not_issued", f"{args.name}: nothing of it stands; `linetap pki list` shows who has what")
        ca.revoke(entries, since, with_signer=not args.keep_signer)
    sys.stdout.write(
        f"{args.name}: {len(entries)} revoked; now {authority.REVOCATIONS} to every broker, and restart it;"
        f" {authority.SIGNERS} to whoever checks\n"
    )
    return 0


def _again(register: Register, role: Role, name: str, since: str, keep_signer: bool) -> list[Issued]:
    """What is revoked already, where its signatures are in doubt from an earlier moment on than was said then."""
    before = {} if keep_signer else register.signers()
    return [
        entry
        for entry in register.issued(role, name)
        if (entry.name, entry.signer) in before and since < (before[entry.name, entry.signer] or _NEVER)
    ]


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=0, metavar="N", help="only what ends within N days; then exit 1")


def listing(args: argparse.Namespace, clock: Clock) -> int:
    """0, and 1 where something ends within --days."""
    with authority.opened(args.dir, clock) as ca:
        newest: dict[str, Issued] = {}
        revoked = ca.register.revocations()
        for entry in ca.register.issued():
            if entry.serial not in revoked:
                newest[common_name(entry.role, entry.name)] = entry
    end_ns = clock.utc_ns() + args.days * NS_PER_DAY
    shown = sorted(
        (entry.until, name) for name, entry in newest.items() if not args.days or parse_rfc3339(entry.until) <= end_ns
    )
    sys.stdout.writelines(f"{until} {name}\n" for until, name in shown)
    return 1 if args.days and shown else 0


def _whose(name: str) -> tuple[Role, str]:
    for role in _ROLES:
        if name.startswith(f"{role}:"):
            return role, name.removeprefix(f"{role}:")
    return "unit", name


def _since(text: str, now_ns: int) -> str:
    try:
        since_ns = parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"--since {text}: {error}; 2026-11-24T22:56:00Z would be right") from None
    if since_ns > now_ns:
        raise BadInput(f"--since {text}: in the future")
    return rfc3339(since_ns)
