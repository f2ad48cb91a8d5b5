# SPDX-License-Identifier: Apache-2.0
"""`linetap hold wrap|check`: wraps the key of a call for a hold's own epoch, for a case that needs the call longer.

`check`: another vault officer opens the wrapped key, and signs that it opens, before the day's key is destroyed.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from linetap_core.clock import Clock, parse_rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.zones import KOREA, end_text
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry
from linetap_desk.ceremony import rewrap
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import callproof, checkedcall, layers, stockage, wrapped
from linetap_desk.unsealing.checkedcall import CheckedCall
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX

_CHECK_EXAMPLE = "example: linetap hold check holds/CALL_ID CALL_DIR --identity hold.txt --key second-officer.key"


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("hold_dir", type=Path, metavar="HOLD_DIR", help="folder made by `hold wrap` or `overflow rewrap`")
    add("call_dir", type=Path, metavar="CALL_DIR", help="the folder of the call")
    text = "private file of the hold's epoch; of a group one for each officer needed"
    add("--identity", type=Path, action="append", required=True, metavar="EPOCH_FILE", help=text)
    add("--key", type=Path, required=True, metavar="KEY", help="the checking officer's key, which signs the result")
    callproof.add_arguments(parser, witnesses=False)
    deskfolder.add_argument(parser)


def _check(args: argparse.Namespace, clock: Clock) -> int:
    name = next((name for name in wrapped.DOCUMENTS if (args.hold_dir / name).exists()), None)
    if name is None:
        raise BadInput(f"{args.hold_dir}: {' or '.join(wrapped.DOCUMENTS)} expected in it")
    place = args.hold_dir / f"{name}{CHECK_SUFFIX}"
    signedfile.require_free(place)
    signer = signedfile.load_key(args.key)
    for path in args.identity:
        stockage.check_identity_file(path)
    desk = deskfolder.find(args, clock)
    with deskfolder.logged_step(desk, Entry(verb="hold_check")) as step:
        checkedcall.name_folder(step.entry, args.call_dir)
        roles = None if desk is None else desk.roles(step.past)
        call = checkedcall.require_verified(args.call_dir, callproof.basis(args, desk, roles), with_audio=False)
        key = call.wrapped(args.hold_dir, roles)
        checkedcall.name_key(step, call, key)
        turn = layers.officer_step(argparse.Namespace(partial=None, identity=args.identity), key)
        if turn.left:
            raise BadInput(f"--identity: too few keys of the group: {turn.left} more expected")
        step.granted()
        turn.remove_layers(args.identity)
        data = callfolder.read(args.hold_dir / name, hold.LIMIT_BYTES)
        if (found := hold.decode(data)).key_sha256 != key.sha256 or found.record_sha256 != call.record_sha256:
            raise Refusal(f"{args.hold_dir / name}: changed while it was being checked")
        privatefile.write_public(place, sshsig.sign(data, signer, namespaces.HOLD_CHECK).encode("ascii"))
    checkedcall.warn(call)
    sys.stdout.write(f"{place}: {args.hold_dir / sealed.KEY} opens, and contains the key of {call.record.call_id}\n")
    return 0


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
    rewrap.add_call_arguments(wrap, hold.HOLD)
    add = wrap.add_argument
    add("--wrapped", type=Path, metavar="DIR", help="folder of an earlier hold, if the day's key is destroyed")
    add("--to", required=True, metavar="age1...", help="public key of the hold's epoch, from `linetap keygen epoch`")
    add("--case", required=True, metavar="TEXT", help="the case for which the call is kept")
    add("--basis", required=True, metavar="TEXT", help="the legal basis")
    add("--until", required=True, metavar="TIME", help="end of the hold, unless renewed: a day, or RFC 3339")
    add("--zone", default=KOREA, help="time zone of that day, default %(default)s")
    check = verbs.add_parser(
        "check",
        help="check that the wrapped key opens, and sign the result",
        epilog=_CHECK_EXAMPLE,
        formatter_class=raw,
    )
    _add_check_arguments(check)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return _check(args, clock) if args.verb == "check" else _wrap(args, clock)


def _wrap(args: argparse.Namespace, clock: Clock) -> int:
    require_possible(clock)
    now_ns = clock.utc_ns()
    until = _until(args.until, args.zone)
    if parse_rfc3339(until) <= now_ns:
        raise BadInput(f"--until {args.until}: is past; a future time expected")

    def document(call: CheckedCall, key_sha256: str) -> hold.Hold:
        fields = rewrap.shared_fields(call, args.to, key_sha256, now_ns)
        return hold.Hold(**fields, case=args.case, basis=args.basis, until=until)

    folder, call = rewrap.write_rewrapped(args, clock, args.to, hold.HOLD, document)
    if folder is not None:
        sys.stdout.write(f"{folder}: {call.record.call_id} is held until {until}\n")
    return 0


def _until(text: str, zone: str) -> str:
    try:
        if len(text) == len("2027-06-30"):
            return end_text(date.fromisoformat(text), zone)
        parse_rfc3339(text)
    except (ValueError, KeyError, OSError, OverflowError):
        raise BadInput(f"--until {text}: a day such as 2027-06-30, or RFC 3339, in an existing zone expected") from None
    return text
