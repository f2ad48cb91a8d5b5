# SPDX-License-Identifier: Apache-2.0
"""`linetap unwrap`: the vault officer's half of opening. Removes the epoch's layer from key.age; the custodians' layer
stays.

The call is verified first (checkedcall.py), its audio if it is present.

With roles in force it needs a request, logs the access first, and encrypts its output to the request's one-time key. A
single officer of a group produces a partial, which is encrypted to the following officers and opens nothing
(layers.py).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.sealing import age
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry, LoggedStep
from linetap_desk.release import requestfile
from linetap_desk.unsealing import callproof, checkedcall, layers, stockage
from linetap_desk.unsealing.checkedcall import CheckedCall


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: linetap unwrap vault/2026/11/24/20261124T225600.123Z-L03 --identity epoch.txt"
        " --request request.json -o INNER.age"
    )
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR")
    parser.add_argument(
        "--identity", type=Path, action="append", required=True, metavar="EPOCH_FILE",
        help="the epoch's private file; of a group one for each participating officer",
    )  # fmt: skip
    parser.add_argument(
        "--request", type=Path, metavar="REQ", help="request.json, its approvals beside it; needed once there are roles"
    )
    parser.add_argument(
        "--wrapped", type=Path, metavar="DIR", help="the folder with a re-wrapped key.age and its hold.json"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="INNER.age", help="file that only a custodian can open"
    )
    layers.add_partial_argument(parser)
    callproof.add_arguments(parser)
    deskfolder.add_argument(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    desk = deskfolder.find(args, clock)
    if desk is None and args.request is not None:
        raise BadInput("--request: no roles are in force to judge it by: `linetap roles use` takes them")
    with deskfolder.logged_step(desk, Entry(verb="unwrap")) as step:
        checkedcall.name_folder(step.entry, args.call_dir)
        for path in args.identity:
            stockage.check_identity_file(path)
        if desk is not None and args.request is None:
            text = f"{args.call_dir.name}: --request: roles are in force, nothing opens without one"
            raise NotReleased("request_needed", text)
        roles = None if desk is None else desk.roles(step.past)
        call = checkedcall.require_verified(args.call_dir, callproof.basis(args, desk, roles), with_audio=False)
        key = call.key if args.wrapped is None else call.wrapped(args.wrapped, roles)
        checkedcall.name_key(step, call, key)
        recipient = "" if desk is None else _require_request(args, desk, step, call)
        turn = layers.officer_step(args, key)
        step.entry.left = turn.left
        privatefile.require_new(args.output)
        step.granted()
        inner = turn.remove_layers(args.identity)
        privatefile.write(args.output, age.encrypt(inner, [recipient]) if recipient and not turn.left else inner)
    checkedcall.warn(call)
    sys.stderr.write(f"{call.record.call_id}: {call.witnessed}\n")
    if turn.left:
        layers.say_partial(args.output, turn.left, "officer")
    return 0


def _require_request(args: argparse.Namespace, desk: deskfolder.Desk, step: LoggedStep, call: CheckedCall) -> str:
    """The one-time recipient. NotReleased unless a request names this call."""
    request = requestfile.require_stands(desk, step, args.request, gives=False)
    requestfile.require_named(request, call, desk.roles(step.past))
    requestfile.require_unused(request, step.entry.request_sha256, call.record.call_id, step.past)
    return request.one_time
