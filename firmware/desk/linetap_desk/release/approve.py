# SPDX-License-Identifier: Apache-2.0
"""`linetap release approve`: what `ssh-keygen -Y sign -n linetap-release` does, after a look at what is signed: the
request, and every call that it names.

ssh-keygen itself signs, so a passphrase, an agent or a token is its business.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import (
    NotReleased,
    Request,
    require_approver,
    require_purpose,
    require_time,
    standing,
)
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.signing import namespaces
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.release import files, gate
from linetap_desk.unsealing import callproof

_TIMEOUT_S = 600  # long enough to type a passphrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", type=Path, metavar="request.json")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="SSHKEY", help="your private key, or its .pub in an agent"
    )
    parser.add_argument("--name", required=True, help="yours, as it stands in the roles file")
    parser.add_argument(
        "--call", type=Path, action="append", default=[], metavar="CALL_DIR",
        help="each call of the request, its audio may lack; default calls/CALL_ID beside the request",
    )  # fmt: skip
    callproof.add_arguments(parser)


def run(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.deed(Entry(verb="approve", name=args.name)) as step:
        file = files.load(args.request)
        files.describe(step.entry, file.request)
        files.name_calls(step.entry, [(call.call_id, call.line) for call in file.request.calls])
        step.entry.request_sha256 = hashlib.sha256(file.data).hexdigest()
        roles = desk.roles(step.past)
        require_time(file.request, desk.now_ns(step.past))
        require_purpose(file.request, roles)
        calls = files.checked(args, _folders(args, file.request), desk, step)
        for call in calls:
            gate.require_named(file.request, call)
        person = _approver(args.name, file.request, roles)
        output = args.request.with_name(f"{args.request.name}.{person.role}{namespaces.SUFFIX}")
        privatefile.require_new(output)
        step.granted()
        armored = _sign(file.data, args.key)
        found = standing(file.data, file.request, {output.name: armored}, roles)
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
    """Where each call of the request lies; NotReleased names the first that is not here."""
    named = {path.resolve().name: path for path in args.call}
    for call_id in named.keys() - {call.call_id for call in request.calls}:
        raise NotReleased("call_not_named", f"--call {named[call_id]}: request {request.id} does not name {call_id}")
    beside = args.request.parent / "calls"
    folders = [named.get(call.call_id, beside / call.call_id) for call in request.calls]
    for folder in folders:
        if not folder.is_dir():
            text = f"{folder.name}: it is verified before it is approved: --call with its folder would be right"
            raise NotReleased("call_needed", text)
    return folders


def _approver(name: str, request: Request, roles: Roles) -> Person:
    person = roles.person(name)
    if person is None:
        raise NotReleased("approver_unknown", f"{name} is not in the roles file")
    require_approver(person, request)
    return person


def _sign(data: bytes, key: Path) -> bytes:
    command = ["ssh-keygen", "-Y", "sign", "-q", "-n", namespaces.RELEASE, "-f", str(key)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise BadInput(
            "the `ssh-keygen` command is not installed: `apt install openssh-client` would be right"
        ) from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"{key}: ssh-keygen did not end within {_TIMEOUT_S} s") from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise BadInput(f"{key}: ssh-keygen does not sign with it: {words}")
    return done.stdout
