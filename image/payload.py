#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An update without its signature: two builds of one version are equal in that part and in no other.

A plain bundle of RAUC's is a squashfs, a CMS signature over it, and the signature's length in eight bytes, most
significant first (https://rauc.readthedocs.io/en/latest/reference.html, "Bundle Formats"). Whoever builds a published
version again compares the payloads, or joins the published signature to their own: that gives the published file.

    payload.py hash BUNDLE                      the SHA-256 of the payload
    payload.py same BUNDLE BUNDLE               whether the payloads are the same; 1 where not
    payload.py split BUNDLE PAYLOAD SIGNATURE   the two parts
    payload.py join PAYLOAD SIGNATURE BUNDLE    and together again
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

MAGIC = b"hsqs"  # of a squashfs
LENGTH = 8
SIGNATURE_MAX = 1 << 20
BLOCK = 1 << 20


class Unusable(Exception):
    """What it says is the one line to print."""


def payload_bytes(bundle: Path) -> int:
    """How much of the file is signed."""
    try:
        with bundle.open("rb") as file:
            size = file.seek(0, 2)
            if size < len(MAGIC) + LENGTH:
                raise Unusable(f"{bundle}: too short for a bundle")
            file.seek(0)
            magic = file.read(len(MAGIC))
            file.seek(size - LENGTH)
            length = int.from_bytes(file.read(LENGTH), "big")
    except OSError as error:
        raise Unusable(f"{bundle}: {error.strerror}") from None
    if magic != MAGIC or not 0 < length <= min(SIGNATURE_MAX, size - LENGTH - len(MAGIC)):
        raise Unusable(f"{bundle}: not a bundle of RAUC's in the plain format")
    return size - LENGTH - length


def payload_hash(bundle: Path) -> str:
    left = payload_bytes(bundle)
    digest = hashlib.sha256()
    with bundle.open("rb") as file:
        while left and (block := file.read(min(BLOCK, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def split(bundle: Path, payload: Path, signature: Path) -> None:
    left = payload_bytes(bundle)
    with bundle.open("rb") as file, payload.open("wb") as out:
        while left and (block := file.read(min(BLOCK, left))):
            out.write(block)
            left -= len(block)
        signature.write_bytes(file.read()[:-LENGTH])


def join(payload: Path, signature: Path, bundle: Path) -> None:
    signed = signature.read_bytes()
    with payload.open("rb") as file, bundle.open("wb") as out:
        while block := file.read(BLOCK):
            out.write(block)
        out.write(signed + len(signed).to_bytes(LENGTH, "big"))
    payload_bytes(bundle)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, files in (
        ("hash", ("bundle",)), ("same", ("first", "second")), ("split", ("bundle", "payload", "signature")),
        ("join", ("payload", "signature", "bundle")),
    ):  # fmt: skip
        command = commands.add_parser(name)
        for file in files:
            command.add_argument(file, type=Path)
    args = parser.parse_args()
    try:
        match args.command:
            case "hash":
                print(payload_hash(args.bundle))
            case "same":
                first, second = payload_hash(args.first), payload_hash(args.second)
                print(f"{'the same' if first == second else 'not the same'}: {first} {second}")
                return int(first != second)
            case "split":
                split(args.bundle, args.payload, args.signature)
            case "join":
                join(args.payload, args.signature, args.bundle)
    except (Unusable, OSError) as why:
        print(f"payload: {why}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
