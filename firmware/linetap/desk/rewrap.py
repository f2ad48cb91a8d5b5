# SPDX-License-Identifier: Apache-2.0
"""Wrapping a call's inner key for another epoch. The half-opened blob passes through a pipe and is never written."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap.clock import rfc3339
from linetap.desk import callfolder, deskfolder, privatefile, signed, stockage
from linetap.desk.access import Deed
from linetap.desk.access_entry import Entry
from linetap.desk.unwrap import KEY_LIMIT_BYTES, outer_layer, require_folder
from linetap.errors import BadInput, LinetapError, Refusal
from linetap.evidence import group, hold, members, sealed
from linetap.evidence.hold import Hold, Rewrap
from linetap.records import CallRecord


@dataclass(frozen=True, slots=True)
class Source:
    """A sealed call as its folder has it; its key.age is the one that the record names."""

    record: CallRecord
    record_sha256: str
    key_age: bytes

    @property
    def epoch(self) -> str:
        return self.record.retention.epoch if self.record.retention else ""


def read_call(call_dir: Path) -> Source:
    """Refusal if there is no recording in it, or key.age is not the one that was sealed with it."""
    require_folder(call_dir)
    try:
        data = callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        key_age = callfolder.read(call_dir / sealed.KEY, KEY_LIMIT_BYTES)
        record = sealed.decode_record(data)
    except callfolder.Damaged as error:
        raise Refusal(f"{call_dir}: {error}") from None
    except sealed.UnknownSuite as error:
        raise sealed.UnknownSuite(f"{call_dir}: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(f"{call_dir / sealed.RECORD}: {error}") from None
    if record.files.get(sealed.KEY) != hashlib.sha256(key_age).hexdigest():
        raise Refusal(f"{call_dir / sealed.KEY}: not the one that {sealed.RECORD} names")
    return Source(record, hashlib.sha256(data).hexdigest(), key_age)


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
    deskfolder.add_argument(parser)


def write(
    args: argparse.Namespace, source: Source, to: str, name: str, document: Callable[[str], Hold | Rewrap]
) -> Path:
    """Write key.age for the recipient `to`, and the document that `document(sha256 of it)` makes; gives the folder.

    It takes the epoch's layer off, as unwrap does, and stands in the desk's access log as that does.
    """
    entry = Entry(
        verb=Path(name).stem,
        case=getattr(args, "case", ""),
        recipient=to,
        calls=[source.record.call_id],
        lines=[source.record.line],
    )
    with deskfolder.deed(deskfolder.find(args), entry) as step:
        return _write(args, source, to, name, document, step)


def _write(
    args: argparse.Namespace, source: Source, to: str, name: str, document: Callable[[str], Hold | Rewrap], step: Deed
) -> Path:
    signer = None if args.key is None else signed.load_key(args.key)
    for path in args.identity:
        stockage.check_identity_file(path)
    try:
        members.parse(to)
    except LinetapError as error:
        raise BadInput(f"--to: {error}") from None
    folder: Path = args.output or Path("holds") / source.record.call_id
    place = folder / name
    if folder.exists():
        signed.require_free(folder / sealed.KEY, place, signed.signature_of(place))
    step.granted()
    key_age = group.seal(outer_layer(source.key_age, args.identity), to)
    folder.mkdir(parents=True, exist_ok=True)
    data = hold.encode(document(hashlib.sha256(key_age).hexdigest()))
    privatefile.write(folder / sealed.KEY, key_age)
    signed.write(place, data, signer, hold.NAMESPACE)
    return folder


def common(source: Source, to: str, key_sha256: str, now_ns: int) -> dict[str, str]:
    """The fields that a hold and a re-wrapping share."""
    return {
        "call_id": source.record.call_id,
        "unit": source.record.unit,
        "record_sha256": source.record_sha256,
        "key_sha256": key_sha256,
        "from_epoch": source.epoch,
        "to": to,
        "made_at": rfc3339(now_ns),
    }
