# SPDX-License-Identifier: Apache-2.0
"""`linetap hold wrap`: a case needs a call longer than its day. Its key is wrapped for the hold's own epoch.
`linetap hold check`: see holdcheck.py."""

from __future__ import annotations

import argparse
import sys
from datetime import date

from linetap_core.clock import Clock, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence import hold
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.zones import KOREA, end_of, epoch_text
from linetap_desk.unsealing import holdcheck, rewrap
from linetap_desk.unsealing.checkedcall import CheckedCall

_WRAP_EXAMPLE = (
    "example: linetap hold wrap CALL_DIR --identity 2027-01-24.txt --to age1... --case 2026-117"
    ' --basis "..." --until 2027-06-30 --key officer.key'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap hold wrap --help"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    raw = argparse.RawDescriptionHelpFormatter
    wrap = verbs.add_parser(
        "wrap", help="wrap a call's key for a hold's epoch", epilog=_WRAP_EXAMPLE, formatter_class=raw
    )
    rewrap.add_arguments(wrap, hold.HOLD)
    wrap.add_argument(
        "--to", required=True, metavar="age1...", help="the hold's epoch: `linetap keygen epoch` makes it"
    )
    wrap.add_argument("--case", required=True, metavar="TEXT", help="what it is kept for")
    wrap.add_argument("--basis", required=True, metavar="TEXT", help="the law that it stands on")
    wrap.add_argument(
        "--until", required=True, metavar="TIME", help="a day, or RFC 3339: by then it is renewed or over"
    )
    wrap.add_argument("--zone", default=KOREA, help="of that day, default %(default)s")
    check = verbs.add_parser(
        "check", help="see that what was wrapped opens, and sign it", epilog=holdcheck.EXAMPLE, formatter_class=raw
    )
    holdcheck.add_arguments(check)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return holdcheck.run(args, clock) if args.verb == "check" else _wrap(args, clock)


def _wrap(args: argparse.Namespace, clock: Clock) -> int:
    require_possible(clock)
    now_ns = clock.utc_ns()
    until = _until(args.until, args.zone)
    if parse_rfc3339(until) <= now_ns:
        raise BadInput(f"--until {args.until}: is over; a time to come would be right")

    def document(call: CheckedCall, key_sha256: str) -> hold.Hold:
        fields = rewrap.common(call, args.to, key_sha256, now_ns)
        return hold.Hold(**fields, case=args.case, basis=args.basis, until=until)

    folder, call = rewrap.write(args, clock, args.to, hold.HOLD, document)
    if folder is not None:
        sys.stdout.write(f"{folder}: {call.record.call_id} is held until {until}\n")
    return 0


def _until(text: str, zone: str) -> str:
    try:
        if len(text) == len("2027-06-30"):
            return epoch_text(end_of(date.fromisoformat(text), zone))
        parse_rfc3339(text)
    except (ValueError, KeyError, OSError, OverflowError):
        raise BadInput(f"--until {text}: a day as 2027-06-30 or RFC 3339, in a zone there is, would be right") from None
    return text
