# SPDX-License-Identifier: Apache-2.0
"""`linetap hold check`: a vault officer opens what was wrapped anew, before the day's key goes that opens the call now.

Nobody can see from outside whom an age file opens for: a hold that was wrapped for a wrong key, by mistake or on
purpose, looks like any other until the call's own day is destroyed. So it is opened once with the hold's own key, what
comes out is held against the record, and the officer who has seen that signs the same paper in a namespace of its own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core import signedfile
from linetap_core.clock import Clock
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import hold, namespaces, sshsig
from linetap_core.evidence.command import VAULT
from linetap_core.evidence.roles import Roles
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.proofs import callfolder
from linetap_desk.release import files, wrapped
from linetap_desk.unsealing import callproof, checkedcall, partial, stockage

SUFFIX = f".check{namespaces.SUFFIX}"
EXAMPLE = "example: linetap hold check holds/CALL_ID CALL_DIR --identity hold.txt --key second-officer.key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hold_dir", type=Path, metavar="HOLD_DIR", help="what `hold wrap` or `overflow rewrap` wrote")
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR")
    parser.add_argument(
        "--identity", type=Path, action="append", required=True, metavar="EPOCH_FILE",
        help="private, of the epoch that it was wrapped for; of a group all that are needed",
    )  # fmt: skip
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="of the officer who has checked it")
    callproof.add_arguments(parser, witnesses=False)
    deskfolder.add_argument(parser)


def run(args: argparse.Namespace, clock: Clock) -> int:
    name = next((name for name in wrapped.DOCUMENTS if (args.hold_dir / name).exists()), None)
    if name is None:
        raise BadInput(f"{args.hold_dir}: there is neither {' nor '.join(wrapped.DOCUMENTS)} in it")
    place = args.hold_dir / f"{name}{SUFFIX}"
    signedfile.require_free(place)
    signer = signedfile.load_key(args.key)
    for path in args.identity:
        stockage.check_identity_file(path)
    desk = deskfolder.find(args, clock)
    with deskfolder.deed(desk, Entry(verb="hold_check")) as step:
        files.name_folder(step.entry, args.call_dir)
        roles = None if desk is None else desk.roles(step.past)
        call = checkedcall.check(args.call_dir, callproof.basis(args, desk, roles), with_audio=False)
        key = call.wrapped(args.hold_dir, roles)
        files.name_key(step, call, key)
        turn = partial.turn(argparse.Namespace(partial=None, identity=args.identity), key)
        if turn.left:
            raise BadInput(f"--identity: {turn.left} more of the group: only together do they see that it opens")
        step.granted()
        turn.take(args.identity)
        data = callfolder.read(args.hold_dir / name, hold.LIMIT_BYTES)
        place.write_text(sshsig.sign(data, signer, namespaces.HOLD_CHECK), encoding="ascii")
    checkedcall.warn(call)
    sys.stdout.write(f"{place}: {args.hold_dir / 'key.age'} opens, and holds the key of {call.record.call_id}\n")
    return 0


def require(paper: Path, data: bytes, roles: Roles, signer_name: str) -> None:
    """Refusal unless a vault officer has checked it: another than who signed it, where there is another."""
    place = paper.with_name(f"{paper.name}{SUFFIX}")
    others = any(person.role == VAULT and person.name != signer_name for person in roles.people)
    how = f"`linetap hold check {paper.parent}` by a vault officer{f' who is not {signer_name}' if others else ''}"
    if not place.exists():
        raise Refusal(f"nobody has shown that its key opens: {how} comes first")
    armored = callfolder.read(place, sshsig.SIGNATURE_LIMIT_BYTES)
    person = roles.holder(sshsig.check(data, armored, namespaces.HOLD_CHECK))
    if person is None or person.role != VAULT or (others and person.name == signer_name):
        raise Refusal(f"who checked it may not: {how} would be right")
