# SPDX-License-Identifier: Apache-2.0
"""`linetap release key|request|approve|close`: makes the custodian's one-time key, the request that names it, and its
approval.

The key is made first, so that the approvers' signatures cover the recipient. An approval is the signature of
`ssh-keygen -Y sign -n linetap-release`, made after the request and every call that it names were verified. ssh-keygen
itself signs, so passphrases, agents and tokens work; if it is not installed, a key without a passphrase signs here.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

from linetap_core import absent, system
from linetap_core.clock import NS_PER_DAY, Clock, rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.durable.privatefile import require_wipeable, wipe
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import (
    DEFAULT_DAYS,
    MOST_DAYS,
    NamedCall,
    NotReleased,
    Request,
    check_approvals,
    parse,
    require_approver,
    require_id,
    require_purpose,
    require_time,
)
from linetap_core.evidence.authorization.releaserules import PARTIES
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.timekeeping import require_possible
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry
from linetap_desk.release import requestfile
from linetap_desk.unsealing import callproof, checkedcall
from linetap_desk.unsealing.checkedcall import CheckedCall


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request_id", metavar="REQUEST_ID", help="the name of the future request, such as 2026-0042")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="private (0600); must not exist"
    )


def make_key(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.logged_step(Entry(verb="key", request=require_id(args.request_id))) as step:
        if any(e.verb == "key" and e.outcome == "granted" and e.request == args.request_id for e in step.past):
            raise BadInput(f"{args.request_id}: has a key already; another id expected")
        privatefile.require_new(args.output)
        step.granted()
        recipient = requestfile.write_key(args.output, args.request_id, clock)
    sys.stdout.write(recipient + "\n")
    return 0


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("calls", type=Path, nargs="+", metavar="CALL", help="call folders")
    parser.add_argument("--id", required=True, metavar="REQUEST_ID", help="the id the custodian made the key for")
    parser.add_argument("--one-time", required=True, metavar="age1...", help="the key printed by `linetap release key`")
    parser.add_argument("--purpose", required=True, metavar="ID", help="from the signed list: `linetap roles check`")
    parser.add_argument(
        "--party", choices=PARTIES, help="the requesting party, if the purpose has rules: `linetap roles check`"
    )
    parser.add_argument("--case", required=True, metavar="TEXT", help="a file number, without any caller's name")
    parser.add_argument("--requester", required=True, metavar="NAME")
    parser.add_argument("--for", required=True, dest="recipient", metavar="age1...", help="the requester's own key")
    parser.add_argument(
        "--days", type=int, default=DEFAULT_DAYS, help=f"until it expires: 1 to {MOST_DAYS} (%(default)s)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="request.json", help="must not exist")
    callproof.add_arguments(parser)


def write_request(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.logged_step(Entry(verb="request", name=args.requester)) as step:
        found = requestfile.verified_calls(args, args.calls, desk, step)
        require_possible(clock)
        now_ns = clock.utc_ns()
        roles = desk.roles(step.past)
        made = Request(
            id=args.id,
            calls=[NamedCall(call.record.call_id, call.record.line, call.record_sha256) for call in found],
            purpose=args.purpose,
            case=args.case,
            requester=args.requester,
            recipient=args.recipient,
            one_time=args.one_time,
            created=rfc3339(now_ns),
            expires=rfc3339(now_ns + args.days * NS_PER_DAY),
            party=args.party or "",
            unit=_unit(found) if args.party else "",
            policy=roles.version if args.party else 0,
        )
        requestfile.describe(step.entry, made)
        data = document.encode(made)
        parse(data)
        require_purpose(made, roles)
        for call in found:
            requestfile.require_named(made, call, roles)
        privatefile.require_new(args.output)
        step.entry.request_sha256 = hashlib.sha256(data).hexdigest()
        step.granted()
        privatefile.write(args.output, data)
    return 0


def _unit(calls: list[CheckedCall]) -> str:
    units = sorted({call.record.unit for call in calls})
    if len(units) > 1:
        raise BadInput(f"calls of {', '.join(units)}: with --party those of one unit expected, a request for each")
    return units[0]


def add_close_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request_id", metavar="REQUEST_ID")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the one-time key to destroy")


def close_request(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.logged_step(Entry(verb="close", request=require_id(args.request_id))) as step:
        made_for = requestfile.key_request(args.key)
        if made_for != args.request_id:
            whose = f"the key of request {made_for}" if made_for else "no one-time key"
            raise BadInput(f"{args.key}: this is {whose}; it is not destroyed")
        require_wipeable(args.key)
        step.granted()
        wipe(args.key)
    return 0


_TIMEOUT_S = 600  # long enough to type a passphrase


def add_approve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", type=Path, metavar="request.json")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="SSHKEY", help="your private key, or its .pub in an agent"
    )
    parser.add_argument("--name", required=True, help="your name as in the roles file")
    parser.add_argument(
        "--call", type=Path, action="append", default=[], metavar="CALL_DIR",
        help="each call of the request, its audio may lack; default calls/CALL_ID beside the request",
    )  # fmt: skip
    callproof.add_arguments(parser)


def approve_request(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.logged_step(Entry(verb="approve", name=args.name)) as step:
        file = requestfile.load_request(args.request)
        requestfile.describe(step.entry, file.request)
        checkedcall.name_calls(step.entry, [(call.call_id, call.line) for call in file.request.calls])
        step.entry.request_sha256 = hashlib.sha256(file.data).hexdigest()
        roles = desk.roles(step.past)
        require_time(file.request, desk.now_ns(step.past))
        require_purpose(file.request, roles)
        calls = requestfile.verified_calls(args, _folders(args, file.request), desk, step)
        for call in calls:
            requestfile.require_named(file.request, call, roles)
        person = _approver(args.name, file.request, roles)
        output = args.request.with_name(f"{args.request.name}.{person.role}{namespaces.SUFFIX}")
        privatefile.require_new(output)
        step.granted()
        armored = _sign(file.data, args.key)
        found = check_approvals(file.data, file.request, {output.name: armored}, roles)
        for fault in found.faults.values():
            raise fault
        if found.approvals[0].person != person:
            raise NotReleased("approver_key", f"{args.key}: is the key of {found.approvals[0].person.name}")
        privatefile.write(output, armored)
    for call in calls:
        sys.stdout.write(f"verified: {call.record.call_id}, line {call.record.line} of {call.record.unit}\n")
    sys.stdout.write(f"{output}: {person.name} ({person.role}) approves request {file.request.id}\n")
    return 0


def _folders(args: argparse.Namespace, request: Request) -> list[Path]:
    """The folder of each call in the request; NotReleased names the first missing one."""
    named = {path.resolve().name: path for path in args.call}
    for call_id in named.keys() - {call.call_id for call in request.calls}:
        raise NotReleased("call_not_named", f"--call {named[call_id]}: request {request.id} does not name {call_id}")
    beside = args.request.parent / "calls"
    folders = [named.get(call.call_id, beside / call.call_id) for call in request.calls]
    for folder in folders:
        if not folder.is_dir():
            text = f"{folder.name}: it is verified before it is approved: --call with its folder expected"
            raise NotReleased("call_needed", text)
    return folders


def _approver(name: str, request: Request, roles: Roles) -> Person:
    person = roles.person(name)
    if person is None:
        raise NotReleased("approver_unknown", f"{name} is not in the roles file")
    require_approver(person, request, roles)
    return person


def _sign(data: bytes, key: Path) -> bytes:
    program = system.program("ssh-keygen")
    if program is None:  # the same signature, by a key without a passphrase
        try:
            return sshsig.sign(data, signedfile.load_key(key), namespaces.RELEASE).encode("ascii")
        except BadInput as error:
            if not key.is_file():
                raise
            raise BadInput(f"{error}; for any other key: {absent.not_installed('ssh-keygen')}") from None
    command = [program, "-Y", "sign", "-q", "-n", namespaces.RELEASE, "-f", str(key)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{key}: ssh-keygen did not end within {_TIMEOUT_S} s") from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise BadInput(f"{key}: ssh-keygen does not sign with it: {words}")
    return done.stdout
