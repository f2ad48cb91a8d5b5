# SPDX-License-Identifier: Apache-2.0
"""`linetap keygen unit`, on the unit: makes its signing key, in a file or in its TPM."""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap.tpm import unitkey
from linetap.tpm.device import DEVICE
from linetap_core import keygenunit
from linetap_core.durable import privatefile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    keygenunit.add_arguments(parser)
    parser.add_argument("--tpm", nargs="?", const=DEVICE, metavar="DEVICE", help="in this TPM, default %(const)s")
    parser.add_argument(
        "--release",
        type=Path,
        default=Path(unitkey.RELEASE),
        metavar="PEM",
        help="the signer of the boots in which the key signs: the signer of updates, default %(default)s",
    )


def run(args: argparse.Namespace) -> int:
    """Makes the key and prints the public line."""
    if args.tpm is None:
        return keygenunit.run(args)
    privatefile.require_new(args.output)  # before the TPM makes a key that could not be stored
    return keygenunit.write(args.output, *unitkey.unit_key(Path(args.tpm), args.release))
