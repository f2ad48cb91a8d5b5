# SPDX-License-Identifier: Apache-2.0
"""`linetap tpm`: signs an image's boots, and shows or extends a boot's measurements."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from linetap.tpm import bootpolicy, commands
from linetap.tpm.device import DEVICE, open_device
from linetap_core.errors import BadInput

_KEY_LIMIT_BYTES = 64 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    boot = steps.add_parser(
        "boot", help="sign the boots of a root: words for its kernel's command line",
        epilog="example: linetap tpm boot $(cat root.hash) --key release.key",
    )  # fmt: skip
    boot.add_argument("root", metavar="ROOT_HASH", help="of dm-verity, as veritysetup prints it")
    boot.add_argument("--key", type=Path, required=True, metavar="PEM", help="the release key, P-256")
    show = steps.add_parser("show", help="the measurements of this boot", epilog="example: linetap tpm show")
    extend = steps.add_parser(
        "extend", help="extend a PCR by the hash of a text", epilog="example: linetap tpm extend linetap-stage:run"
    )
    extend.add_argument("text")
    for each in (show, extend):
        each.add_argument("--tpm", type=Path, default=Path(DEVICE), metavar="DEVICE", help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    if args.step == "boot":
        sys.stdout.write(" ".join(bootpolicy.words(args.root, _release_key(args.key))) + "\n")
        return 0
    transport = open_device(args.tpm)
    try:
        if args.step == "extend":
            commands.pcr_extend(transport, bootpolicy.PCR, hashlib.sha256(args.text.encode()).digest())
        sys.stdout.write(f"PCR {bootpolicy.PCR} {commands.pcr_read(transport, bootpolicy.PCR).hex()}\n")
    finally:
        transport.close()
    return 0


def _release_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        with path.open("rb") as file:
            key = load_pem_private_key(file.read(_KEY_LIMIT_BYTES), None)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; the key that signs updates expected") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput(f"{path}: not a P-256 key in PEM without a passphrase; what signs updates expected")
    return key
