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
from linetap.tpm.unitkey import RELEASE, release_of
from linetap_core.errors import BadInput

_KEY_LIMIT_BYTES = 64 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    boot = steps.add_parser(
        "boot", help="sign the boots of a root: words for its kernel's command line",
        epilog="example: linetap tpm boot $(cat root.hash) --key release.key; without the key, --published verifies "
        "and prints its owner's words",
    )  # fmt: skip
    boot.add_argument("root", metavar="ROOT_HASH", help="of dm-verity, as veritysetup prints it")
    signer = boot.add_mutually_exclusive_group(required=True)
    signer.add_argument("--key", type=Path, metavar="PEM", help="the release key, P-256")
    signer.add_argument("--published", type=Path, metavar="CMDLINE", help="a published slot.cmdline of this root")
    boot.add_argument(
        "--release",
        type=Path,
        default=Path(RELEASE),
        metavar="PEM",
        help="--published: its public key, default %(default)s",
    )
    show = steps.add_parser("show", help="the measurements of this boot", epilog="example: linetap tpm show")
    extend = steps.add_parser(
        "extend", help="extend a PCR by the hash of a text", epilog="example: linetap tpm extend linetap-stage:run"
    )
    extend.add_argument("text")
    for each in (show, extend):
        each.add_argument("--tpm", type=Path, default=Path(DEVICE), metavar="DEVICE", help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    if args.step == "boot":
        if args.key:
            boots = bootpolicy.sign(args.root, _release_key(args.key))
        else:
            boots = bootpolicy.published(args.root, args.published, release_of(args.release))
        sys.stdout.write(" ".join(boot.word for boot in boots) + "\n")
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
