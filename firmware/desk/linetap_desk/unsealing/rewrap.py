# SPDX-License-Identifier: Apache-2.0
"""Wrapping a call's inner key for another epoch. The half-opened blob passes through a pipe and is never written."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path

from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Hold, Rewrap
from linetap_core.evidence.sealing import group, members
from linetap_core.evidence.signing import namespaces
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Deed
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.release import files
from linetap_desk.unsealing import callproof, checkedcall, partial, stockage
from linetap_desk.unsealing.checkedcall import CheckedCall


def add_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR")
    parser.add_argument(
        "--identity", type=Path, action="append", required=True, metavar="EPOCH_FILE",
        help="private, of the call's epoch; of a group one for each officer who takes part",
    )  # fmt: skip
    parser.add_argument("--key", type=Path, metavar="KEY", help="signs the document; or leave it to ssh-keygen")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help=f"for key.age and {what}, default holds/CALL_ID"
    )
    partial.add_argument(parser)
    callproof.add_arguments(parser, witnesses=False)
    deskfolder.add_argument(parser)


_PARTIAL = "partial-{}.age"  # so many officers are still to come
Document = Callable[[CheckedCall, str], Hold | Rewrap]


def write(
    args: argparse.Namespace, clock: Clock, to: str, name: str, document: Document
) -> tuple[Path | None, CheckedCall]:
    """Write key.age for the recipient `to`, and `document(the call, sha256 of it)`; gives the folder and the call.

    It takes the epoch's layer off, as unwrap does, and stands in the desk's access log as that does. None: it is a
    group's, and more of its officers have to come; the folder has a partial for them.
    """
    desk = deskfolder.find(args, clock)
    with deskfolder.deed(desk, Entry(verb=Path(name).stem, case=getattr(args, "case", ""), recipient=to)) as step:
        files.name_folder(step.entry, args.call_dir)
        roles = None if desk is None else desk.roles(step.past)
        call = checkedcall.check(args.call_dir, callproof.basis(args, desk, roles), with_audio=False)
        files.name_key(step, call, call.key)
        folder = _write(args, call, to, name, document, step)
    checkedcall.warn(call)
    return folder, call


def _write(
    args: argparse.Namespace, call: CheckedCall, to: str, name: str, document: Document, step: Deed
) -> Path | None:
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
    turn = partial.turn(args, call.key)
    step.entry.left = turn.left
    step.granted()
    if turn.left:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / _PARTIAL.format(turn.left)
        privatefile.write(place, turn.take(args.identity))
        partial.say(place, turn.left, "officer")
        return None
    key_age = group.seal(turn.take(args.identity), to)
    folder.mkdir(parents=True, exist_ok=True)
    data = hold.encode(document(call, hashlib.sha256(key_age).hexdigest()))
    privatefile.write(folder / sealed.KEY, key_age)
    signedfile.write(place, data, signer, namespaces.HOLD)
    return folder


def common(call: CheckedCall, to: str, key_sha256: str, now_ns: int) -> dict[str, str]:
    """The fields that a hold and a re-wrapping share."""
    return {
        "call_id": call.record.call_id,
        "unit": call.record.unit,
        "record_sha256": call.record_sha256,
        "key_sha256": key_sha256,
        "from_epoch": call.record.retention.epoch if call.record.retention else "",
        "to": to,
        "made_at": rfc3339(now_ns),
    }
