# SPDX-License-Identifier: Apache-2.0
"""`linetap keygen unit`: makes a signing key in a file. Desk and unit share it; units may also use a TPM."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.durable import privatefile
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey

WHAT = "an Ed25519 key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the private file (0600); must not exist"
    )


def run(args: argparse.Namespace) -> int:
    key = keys.new_unit_key()
    return write(args.output, keys.unit_key_file(key), key.public_key())


def write(output: Path, private: bytes, public: PublicKey) -> int:
    """Writes the private file, and the public line to standard output. Returns the exit status."""
    privatefile.write(output, private)
    sys.stdout.write(keys.public_line(public) + "\n")
    return 0
