# SPDX-License-Identifier: Apache-2.0
"""`linetap overflow rewrap`: wraps the keys of calls sealed to an overflow epoch, or to a shorter class's epoch, for
their own days.

Includes the wrapping itself, which `linetap hold wrap` shares: the partly opened key passes through a pipe and is never
written.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from linetap_core.clock import Clock, from_utc_ns, parse_rfc3339, rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Hold, Rewrap
from linetap_core.evidence.sealing import group, members
from linetap_core.evidence.sealing.keylist import Epoch, KeyList
from linetap_core.evidence.signing import namespaces
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.zones import day_of_end, end_text
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry, LoggedStep
from linetap_desk.ceremony import keygen
from linetap_desk.unsealing import callproof, checkedcall, layers, stockage
from linetap_desk.unsealing.checkedcall import CheckedCall, SealedKey


def add_call_arguments(parser: argparse.ArgumentParser, what: str, *, several: bool = False) -> None:
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR", nargs="+" if several else None)
    parser.add_argument(
        "--identity", type=Path, action="append", required=True, metavar="EPOCH_FILE",
        help="private file of the call's epoch; of a group one for each participating officer",
    )  # fmt: skip
    parser.add_argument("--key", type=Path, metavar="KEY", help="signs the document; else sign with ssh-keygen")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help=f"for key.age and {what}, default holds/CALL_ID"
    )
    layers.add_partial_argument(parser)
    callproof.add_arguments(parser, witnesses=False)
    deskfolder.add_argument(parser)


_PARTIAL = f"partial-{{}}{sealing.SUFFIX}"  # the number of officers still needed
Document = Callable[[CheckedCall, str], Hold | Rewrap]


def write_rewrapped(
    args: argparse.Namespace, clock: Clock, to: str, name: str, document: Document
) -> tuple[Path | None, CheckedCall]:
    """Writes key.age for the recipient `to`, and `document(call, its sha256)`; returns the folder and the call.

    Like unwrap it removes the epoch's layer, and is logged in the desk's access log. None: more officers of a group are
    needed; the folder has a partial for them.
    """
    desk = deskfolder.find(args, clock)
    with deskfolder.logged_step(
        desk, Entry(verb=Path(name).stem, case=getattr(args, "case", ""), recipient=to)
    ) as step:
        checkedcall.name_folder(step.entry, args.call_dir)
        roles = None if desk is None else desk.roles(step.past)
        call = checkedcall.require_verified(args.call_dir, callproof.basis(args, desk, roles), with_audio=False)
        again = getattr(args, "wrapped", None)
        key = call.key if again is None else call.wrapped(again, roles)
        checkedcall.name_key(step, call, key)
        folder = _write(args, call, key, to, name, document, step)
    checkedcall.warn(call)
    return folder, call


def _write(
    args: argparse.Namespace, call: CheckedCall, key: SealedKey, to: str, name: str, document: Document,
    step: LoggedStep,
) -> Path | None:  # fmt: skip
    signer = None if args.key is None else signedfile.load_key(args.key)
    for path in args.identity:
        stockage.check_identity_file(path)
    try:
        members.parse(to)
    except LinetapError as error:
        raise BadInput(f"--to: {error}") from None
    folder: Path = args.output or Path("holds") / call.record.call_id
    place = folder / name
    if folder.exists():
        signedfile.require_free(folder / sealed.KEY, place, signedfile.signature_of(place))
    turn = layers.officer_step(args, key)
    step.entry.left = turn.left
    step.granted()
    if turn.left:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / _PARTIAL.format(turn.left)
        privatefile.write(place, turn.remove_layers(args.identity))
        layers.say_partial(place, turn.left, "officer")
        return None
    key_age = group.seal(turn.remove_layers(args.identity), to)
    data = hold.encode(document(call, hashlib.sha256(key_age).hexdigest()))
    folder.mkdir(parents=True, exist_ok=True)
    privatefile.write_public(folder / sealed.KEY, key_age)  # the desk reads it as another user
    try:
        signedfile.write(place, data, signer, namespaces.HOLD)
    except BadInput:
        (folder / sealed.KEY).unlink(missing_ok=True)
        raise
    return folder


def shared_fields(call: CheckedCall, to: str, key_sha256: str, now_ns: int) -> dict[str, str]:
    """The common fields of a hold and a re-wrapping."""
    return {
        "call_id": call.record.call_id,
        "unit": call.record.unit,
        "record_sha256": call.record_sha256,
        "key_sha256": key_sha256,
        "from_epoch": call.record.retention.epoch if call.record.retention else "",
        "to": to,
        "made_at": rfc3339(now_ns),
    }


_REWRAP = "example: linetap overflow rewrap CALL_DIR --identity overflow-2.txt --to 2027-01-24 --key officer.key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap overflow rewrap --help"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("rewrap", help="wrap the keys of calls for their days", epilog=_REWRAP)
    add_call_arguments(one, hold.REWRAP, several=True)
    one.add_argument(
        "--to", metavar="DAY", help="a day of the key list, or its recipient age1...; default: as its unit amended it"
    )
    one.add_argument(
        "--list", type=Path, default=Path("keylist.json"), metavar="FILE", help="key list, default %(default)s"
    )


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Re-wraps the calls one after the other, up to the first refused one."""
    found = keygen.load_list(args.list)
    folders: list[Path] = args.call_dir
    if len(folders) > 1 and (args.output is not None or args.partial is not None):
        raise BadInput("-o, --partial: for a single call only; of several each result goes to holds/CALL_ID")
    for folder in folders:
        _rewrap(argparse.Namespace(**(vars(args) | {"call_dir": folder})), found, clock)
    return 0


def _rewrap(args: argparse.Namespace, found: KeyList, clock: Clock) -> None:
    epoch = _epoch(found, args.to or _stated_day(args, found, clock), args.list)
    require_possible(clock)
    now_ns = clock.utc_ns()

    def document(call: CheckedCall, key_sha256: str) -> hold.Rewrap:
        if (stated := _kept_until(call, found)) is not None and date.fromisoformat(epoch.day) < stated:
            raise Refusal(f"--to {epoch.day}: by its unit the call is kept until {stated}; no earlier day expected")
        fields = shared_fields(call, epoch.recipient, key_sha256, now_ns)
        until = end_text(date.fromisoformat(epoch.day), found.zone)
        return hold.Rewrap(**fields, epoch=epoch.day, until=until)

    folder, call = write_rewrapped(args, clock, epoch.recipient, hold.REWRAP, document)
    if folder is not None:
        sys.stdout.write(f"{folder}: {call.record.call_id} is in the epoch {epoch.day} now\n")


def _stated_day(args: argparse.Namespace, found: KeyList, clock: Clock) -> str:
    """The day of the call's end by its unit's signed amendment. BadInput without an amendment: then an officer states
    the day."""
    desk = deskfolder.find(args, clock)
    roles = None if desk is None else desk.roles(desk.access.entries())
    call = checkedcall.require_verified(args.call_dir, callproof.basis(args, desk, roles), with_audio=False)
    stated = None if call.amended is None else _kept_until(call, found)
    if stated is None:
        raise BadInput(f"{args.call_dir}: --to: no amendment of its unit states its end; a day expected")
    return stated.isoformat()


def _kept_until(call: CheckedCall, found: KeyList) -> date | None:
    """The day by the unit's amendment, else by its record; None for a call of an overflow epoch without amendment."""
    kept = call.record.retention
    until = call.amended.until if call.amended is not None else kept.until if kept is not None else None
    return None if until is None else day_of_end(from_utc_ns(parse_rfc3339(until)), found.zone)


def _epoch(key_list: KeyList, to: str, path: Path) -> Epoch:
    for epoch in key_list.epochs:
        if to in (epoch.day, epoch.recipient):
            return epoch
    raise BadInput(f"--to {to}: no day of {path}; {key_list.first_day} to {key_list.last_day} expected")
