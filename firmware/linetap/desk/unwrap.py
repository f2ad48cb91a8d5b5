# SPDX-License-Identifier: Apache-2.0
"""`linetap unwrap`: the vault officer's half. Takes the epoch's layer off key.age; the custodians' stays on.

Where roles are in force it needs a request, writes into the access log first, and gives what it gives to the
request's one-time key alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap.clock import SYSTEM, Clock
from linetap.desk import callfolder, deskfolder, privatefile, stockage
from linetap.desk.access import Deed
from linetap.desk.access_entry import Entry
from linetap.desk.release import files, gate
from linetap.desk.release.wrapped import require_wrapped
from linetap.errors import BadInput, Refusal
from linetap.evidence import age, group, members, sealed
from linetap.evidence.release import NotReleased

KEY_LIMIT_BYTES = 64 * 1024


def outer_layer(key_age: bytes, identities: list[Path]) -> bytes:
    """The inner blob of key.age, sealed to the custodians. Refusal if the identities are not those of the epoch."""
    return peel(key_age, identities, members.MOST_NEEDED).data


def peel(key_age: bytes, identities: list[Path], most: int) -> group.Peeled:
    """At most so many people's layers of the epoch's off; what is under the last one is the custodians'."""
    try:
        peeled = group.peel(key_age, lambda layer: stockage.decrypt(layer, identities), most)
    except Refusal as error:
        raise Refusal(f"{sealed.KEY}: the epoch's layer does not open: {error}") from None
    if not peeled.left and not group.is_sealed(peeled.data):
        raise Refusal(f"{sealed.KEY}: there is no custodians' layer inside the epoch's")
    return peeled


def require_folder(call_dir: Path) -> None:
    if not call_dir.is_dir():
        raise BadInput(f"{call_dir}: not a folder; a call folder would be right")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: linetap unwrap vault/2026/11/24/20261124T225600.123Z-L03 --identity epoch.txt"
        " --request request.json -o INNER.age"
    )
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR")
    parser.add_argument(
        "--identity", type=Path, action="append", required=True, metavar="EPOCH_FILE",
        help="the epoch's private file; of a group one for each officer who takes part",
    )  # fmt: skip
    parser.add_argument(
        "--request", type=Path, metavar="REQ", help="request.json, its approvals beside it; needed once there are roles"
    )
    parser.add_argument(
        "--wrapped", type=Path, metavar="DIR", help="of a call whose key was wrapped anew: its key.age and hold.json"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="INNER.age", help="still closed to all but a custodian"
    )
    deskfolder.add_argument(parser)


def run(args: argparse.Namespace, clock: Clock = SYSTEM) -> int:
    desk = deskfolder.find(args, clock)
    if desk is None and args.request is not None:
        raise BadInput("--request: no roles are in force to judge it by: `linetap roles use` takes them")
    with deskfolder.deed(desk, Entry(verb="unwrap")) as step:
        require_folder(args.call_dir)
        for path in args.identity:
            stockage.check_identity_file(path)
        call = gate.found_call(args.call_dir)
        key_age = _key_age(args.wrapped or args.call_dir)
        recipient = "" if desk is None else _released(args, desk, step, call, key_age)
        privatefile.require_new(args.output)
        step.granted()
        inner = outer_layer(key_age, args.identity)
        privatefile.write(args.output, age.encrypt(inner, [recipient]) if recipient else inner)
    return 0


def _released(args: argparse.Namespace, desk: deskfolder.Desk, step: Deed, call: gate.FoundCall, key_age: bytes) -> str:
    """The one-time recipient; NotReleased unless a request opens this call."""
    files.name_calls(step.entry, [(call.call_id, call.line)])
    if args.request is None:
        raise NotReleased("request_needed", f"{call.call_id}: --request: roles are in force, nothing opens without one")
    request = gate.require_stands(desk, step, args.request)
    gate.require_named(request, call)
    if args.wrapped is None:
        gate.require_key(call, key_age)
    else:
        require_wrapped(args.wrapped, call, key_age, desk.roles(step.past))
    gate.require_unused(request, step.entry.request_sha256, call.call_id, step.past)
    return request.one_time


def _key_age(folder: Path) -> bytes:
    try:
        return callfolder.read(folder / sealed.KEY, KEY_LIMIT_BYTES)
    except callfolder.Damaged as error:
        raise Refusal(f"{folder}: {error}") from None
