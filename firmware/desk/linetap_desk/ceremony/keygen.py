# SPDX-License-Identifier: Apache-2.0
"""`linetap keygen`: the private file of a custodian, an epoch, an authority or a signer; the epochs of many days."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.cli import Verbs
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.timekeeping import KEPT
from linetap_desk.ceremony import epochkeys, keygroup

_KINDS = {
    "custodian": "an age identity",
    "epoch": "an age identity",
    "unit": "an Ed25519 key",
    "authority": "an Ed25519 key: it signs key lists",
}


def make(kind: str, created: str) -> tuple[bytes, str]:
    """The private file of one of these, and its public line. `created` is RFC 3339."""
    if kind in ("unit", "authority"):
        key = keys.new_unit_key()
        return keys.unit_key_file(key), keys.public_line(key.public_key())
    identity = keys.new_identity()
    return keys.identity_file(identity, created).encode("ascii"), identity.recipient


def add_arguments(parser: argparse.ArgumentParser) -> Verbs:
    parser.epilog = "example: linetap keygen custodian -o custodian.txt"
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind, what in _KINDS.items():
        one = kinds.add_parser(kind, help=what, epilog=f"example: linetap keygen {kind} -o {kind}.txt")
        one.add_argument(
            "-o", "--output", type=Path, required=True, metavar="FILE", help="the private file (0600); must not exist"
        )
        if kind != "unit":
            keygroup.add_arguments(one, kind)
    epochkeys.add_arguments(
        kinds.add_parser("epochs", help="the keys of many days and the public list of them", epilog=epochkeys.EXAMPLE)
    )
    return kinds


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    if args.kind == "epochs":
        return epochkeys.run(args, clock)
    if getattr(args, "group", None) is not None:
        return keygroup.run(args, rfc3339(clock.utc_ns()))
    if getattr(args, "public", None) or getattr(args, "sheets", False):
        raise BadInput("--public, --sheets: are of a group; --group 2/3 would be right")
    private, public = make(args.kind, rfc3339(clock.utc_ns()))
    privatefile.write(args.output, private)
    sys.stdout.write(public + "\n")
    return 0
