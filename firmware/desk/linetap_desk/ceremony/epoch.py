# SPDX-License-Identifier: Apache-2.0
"""`linetap epoch destroy|overdue`: what the vault officer does when a day is over, and what shows it was not done."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.timekeeping import KEPT
from linetap_desk.ceremony import certificate, destroy, epochkeys
from linetap_desk.proofs import callfolder

_OVERDUE = "example: linetap epoch overdue --list keylist.json --certificates certificates --signers allowed_signers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap epoch overdue --certificates certificates"
    raw = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    what = "destroy every copy of an epoch's keys"
    destroy.add_arguments(verbs.add_parser("destroy", help=what, epilog=destroy.EXAMPLE, formatter_class=raw))
    what = "days that ended more than 24 h ago and have no certificate"
    late = verbs.add_parser("overdue", help=what, epilog=_OVERDUE, formatter_class=raw)
    late.add_argument("--list", type=Path, default=Path("keylist.json"), metavar="FILE", help="default %(default)s")
    late.add_argument(
        "--certificates", type=Path, default=Path("certificates"), metavar="DIR", help="default %(default)s"
    )
    late.add_argument("--signers", type=Path, metavar="ALLOWED_SIGNERS", help="who may have signed them")


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    if args.verb == "destroy":
        return destroy.run(args, clock)
    signers = None if args.signers is None else callfolder.load_signers(args.signers)
    late = list(certificate.overdue(epochkeys.load_list(args.list), args.certificates, clock.utc_ns(), signers))
    sys.stdout.writelines(f"critical epoch_overdue: {line}\n" for line in late)
    return 1 if late else 0
