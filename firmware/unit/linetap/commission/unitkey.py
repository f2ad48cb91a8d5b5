# SPDX-License-Identifier: Apache-2.0
"""`linetap keygen unit`, on the unit: its signing key, in a file or in its TPM."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap.tpm import unitkey
from linetap.tpm.device import DEVICE
from linetap_core.durable import privatefile
from linetap_core.evidence.keys import keys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the private file (0600); must not exist"
    )
    parser.add_argument("--tpm", nargs="?", const=DEVICE, metavar="DEVICE", help="in this TPM, default %(const)s")
    parser.add_argument(
        "--release",
        type=Path,
        default=Path(unitkey.RELEASE),
        metavar="PEM",
        help="whose signature makes a boot one that the key signs in: who signs updates, default %(default)s",
    )


def run(args: argparse.Namespace) -> int:
    """The public line on standard output."""
    privatefile.require_new(args.output)
    public: keys.PublicKey
    if args.tpm is None:
        key = keys.new_unit_key()
        private, public = keys.unit_key_file(key), key.public_key()
    else:
        private, public = unitkey.unit_key(Path(args.tpm), args.release)
    privatefile.write(args.output, private)
    sys.stdout.write(keys.public_line(public) + "\n")
    return 0
