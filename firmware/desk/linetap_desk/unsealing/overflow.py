# SPDX-License-Identifier: Apache-2.0
"""`linetap overflow rewrap`: a call that was sealed to an overflow epoch, or to a shorter class's, gets its own day."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import hold
from linetap_core.evidence.sealing.keylist import Epoch, KeyList
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.zones import end_of, epoch_text
from linetap_desk.ceremony import epochkeys
from linetap_desk.unsealing import rewrap
from linetap_desk.unsealing.checkedcall import CheckedCall

_REWRAP = "example: linetap overflow rewrap CALL_DIR --identity overflow-2.txt --to 2027-01-24 --key officer.key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap overflow rewrap --help"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("rewrap", help="wrap a call's key for its day", epilog=_REWRAP)
    rewrap.add_arguments(one, hold.REWRAP)
    one.add_argument("--to", required=True, metavar="DAY", help="a day of the key list, or its recipient age1...")
    one.add_argument("--list", type=Path, default=Path("keylist.json"), metavar="FILE", help="default %(default)s")


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    found = epochkeys.load_list(args.list)
    epoch = _epoch(found, args.to, args.list)
    require_possible(clock)
    now_ns = clock.utc_ns()

    def document(call: CheckedCall, key_sha256: str) -> hold.Rewrap:
        fields = rewrap.common(call, epoch.recipient, key_sha256, now_ns)
        until = epoch_text(end_of(date.fromisoformat(epoch.day), found.zone))
        return hold.Rewrap(**fields, epoch=epoch.day, until=until)

    folder, call = rewrap.write(args, clock, epoch.recipient, hold.REWRAP, document)
    if folder is not None:
        sys.stdout.write(f"{folder}: {call.record.call_id} is in the epoch {epoch.day} now\n")
    return 0


def _epoch(key_list: KeyList, to: str, path: Path) -> Epoch:
    for epoch in key_list.epochs:
        if to in (epoch.day, epoch.recipient):
            return epoch
    raise BadInput(f"--to {to}: no day of {path}; {key_list.first_day} to {key_list.last_day} would be right")
