# SPDX-License-Identifier: Apache-2.0
"""`linetap timestamp`: a time-stamp authority's word (RFC 3161) that a signed head, or a file, was there by then."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import HEAD, Head
from linetap_core.evidence.signing import namespaces
from linetap_desk.proofs import callfolder, tsa
from linetap_desk.proofs.callfolder import Damaged
from linetap_desk.proofs.tsa import TOKEN_SUFFIX, Tsa
from linetap_desk.witnessing import cosigned
from linetap_desk.witnessing.cosigned import SignedHead


def stamp_head(signed: SignedHead, authority: Tsa, folder: Path) -> Path:
    """UNIT-SIZE.json in `folder`, with .sig and .tsr beside it; one that is there already is asked for no more."""
    path = folder / f"{signed.head.unit}-{signed.head.size:09d}.json"
    token_path = path.with_name(path.name + TOKEN_SUFFIX)
    if not token_path.exists():
        token = authority.token(signed.data)
        replace_durably(path, signed.data)
        replace_durably(namespaces.beside(path), signed.signature)
        replace_durably(token_path, token)  # last: where it is, the others are
    return path


def is_stamped_that_day(head: Head, folder: Path) -> bool:
    """Whether a head of that unit's log, of the same day in UTC, has its token in `folder` already."""
    tokens = sorted(folder.glob(f"{head.unit}-?????????.json{TOKEN_SUFFIX}"))
    if not tokens:
        return False
    try:
        newest = unitlog.decode_head(callfolder.read(tokens[-1].with_suffix(""), unitlog.HEAD_LIMIT_BYTES))
    except (Damaged, Refusal):
        return False
    return newest.unit == head.unit and newest.at[:10] == head.at[:10]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ask = actions.add_parser("ask", help="a token for a unit's head; done already is done")
    ask.add_argument("head", type=Path, metavar="DIR_OR_HEAD", help="a log folder, or a head file")
    tsa.add_arguments(ask, required=True)
    ask.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="gets UNIT-SIZE.json, .sig and .tsr"
    )
    check = actions.add_parser("check", help="a head that was stamped")
    check.add_argument("head", type=Path, metavar="HEAD", help="UNIT-SIZE.json with .sig and .tsr beside it")
    tsa.add_ca(check, required=True)
    for action in (ask, check):
        action.add_argument("--signers", type=Path, required=True, metavar="ALLOWED_SIGNERS", help="names the units")
    file = actions.add_parser("file", help="a token beside any file: FILE.tsr")
    file.add_argument("file", type=Path, metavar="FILE", help="a certificate of destruction, say")
    tsa.add_arguments(file, required=True)


def run(args: argparse.Namespace) -> int:
    authority = tsa.of(args) if args.action != "check" else None
    if args.action == "file":
        assert authority is not None
        token = tsa.stamp(args.file, authority)
        sys.stdout.write(f"ok   {token}: stamped {tsa.time_of(args.file, args.ca)}\n")
        return 0
    signers = callfolder.load_signers(args.signers)
    path, ca = args.head, tsa.checked_ca(args.ca)
    if authority is not None:
        if not args.output.is_dir():
            raise BadInput(f"{args.output}: not a folder; one for the stamped heads would be right")
        path = stamp_head(cosigned.read_head(path / HEAD if path.is_dir() else path, signers), authority, args.output)
    signed = cosigned.read_head(path, signers)
    said = tsa.time_of(path, ca)
    sys.stdout.write(f"ok   {path}: {signed.head.unit}, {signed.head.size} leaves, stamped {said}\n")
    return 0
