# SPDX-License-Identifier: Apache-2.0
"""`linetap release peel`: a custodian of a group takes a layer off and hands the rest to the next, who opens the call.

All that `linetap open --request` demands stands before it. What the next one is handed is closed to all but the members
behind, and opens nothing but the call it is of: the key in it has to open that call's own record.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap_core.clock import Clock
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.release import files
from linetap_desk.unsealing import callproof, partial, stockage
from linetap_desk.unsealing.opening import Wanted, hand_on
from linetap_desk.witnessing import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR")
    parser.add_argument(
        "--identity", type=Path, action="append", required=True, metavar="FILE", help="yours, and the one-time key"
    )
    parser.add_argument(
        "--inner", type=Path, required=True, metavar="INNER.age", help="of the officer, or of a custodian before you"
    )
    parser.add_argument("--request", type=Path, required=True, metavar="REQ", help="request.json, approvals beside it")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="PART.age",
        help="for `linetap open --inner`; must not exist",
    )
    callproof.add_arguments(parser)


def run(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.deed(Entry(verb="peel")) as step:
        for path in args.identity:
            stockage.check_identity_file(path)
        recipient = files.load(args.request).request.recipient
        wanted = Wanted(
            args.call_dir, args.signers, args.identity, args.inner, args.request, recipient,
            args.closing, args.log, options.rules(args), args.witnessed,
        )  # fmt: skip
        peeled = hand_on(desk, step, wanted, args.output)
    partial.say(args.output, peeled.left, "custodian")
    return 0
