# SPDX-License-Identifier: Apache-2.0
"""`linetap open`: verifies a call, opens it with the epoch's and a custodian's key, and writes WAV and call.json.

With --for both are encrypted to the requester's own key, and no decrypted data touches a disk. Checks and decryption
are in opening.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.errors import BadInput
from linetap_core.evidence import sealing
from linetap_core.evidence.keys.publickeys import decode_recipient
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry
from linetap_desk.release.opening import OpeningInputs, json_path, open_call, require_released
from linetap_desk.unsealing import callproof, checkedcall, stockage
from linetap_desk.witnessing import options

_WARNING = "warning: both keys were in one hand: this recording was opened without a release (noted in call.json)\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: linetap open vault/2026/11/24/20261124T225600.123Z-L03 --identity custodian.txt"
        " --inner INNER.age --signers allowed_signers -o call.wav"
    )
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR")
    parser.add_argument(
        "--identity", type=Path, action="append", required=True, metavar="FILE", help="a private file; may be repeated"
    )
    parser.add_argument("--inner", type=Path, metavar="INNER.age", help="the output of the vault officer's unwrap")
    parser.add_argument(
        "--for",
        dest="recipient",
        metavar="age1...",
        help="encrypt to the requester's own key; -o then ends in .wav.age",
    )
    parser.add_argument("--request", type=Path, metavar="REQ", help="refuse anything outside the approved request")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="call.wav", help="with call.json beside it")
    callproof.add_arguments(parser)
    deskfolder.add_argument(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    desk = deskfolder.find(args, clock)
    if desk is None and args.request is not None:
        raise BadInput("--request: no roles are in force to judge it by: `linetap roles use` takes them")
    with deskfolder.logged_step(desk, Entry(verb="open", recipient=args.recipient or "")) as step:
        _check_arguments(args, desk)
        wanted = OpeningInputs(
            args.call_dir, args.signers, args.identity, args.inner, args.request, args.recipient or "",
            args.closing, args.log, options.rules(args), args.witnessed,
        )  # fmt: skip
        call = require_released(desk, step, wanted)
        step.granted()
        opened = open_call(call, args.identity, args.inner, args.output, wanted.recipient)
    checkedcall.warn(call)
    sys.stderr.write(f"{call.record.call_id}: {call.witnessed}\n")
    if opened.unreleased:
        sys.stderr.write(_WARNING)
    return 0


def _check_arguments(args: argparse.Namespace, desk: deskfolder.Desk | None) -> None:
    suffix = f".wav{sealing.SUFFIX}" if args.recipient else ".wav"
    if not args.output.name.endswith(suffix):
        raise BadInput(f"{args.output}: a name that ends in {suffix} expected")
    if args.recipient:
        try:
            decode_recipient(args.recipient)
        except BadInput as error:
            raise BadInput(f"--for: {error}") from None
    if desk is None and args.signers is None:
        raise BadInput("--signers: the published allowed_signers expected")
    for path in (args.output, json_path(args.output)):
        if path.exists():
            raise BadInput(f"{path}: exists and is not overwritten; another name expected")
    for path in args.identity:
        stockage.check_identity_file(path)
