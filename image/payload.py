#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An update without its signature: two builds of one version are equal in that part and in no other.

Whoever builds a published version again compares the payloads, or joins the published signature to their own: that
gives the published file. What a payload is: firmware/core/linetap_core/versions/payload.py.

    payload.py hash BUNDLE                      the SHA-256 of the payload
    payload.py same BUNDLE BUNDLE               whether the payloads are the same; 1 where not
    payload.py split BUNDLE PAYLOAD SIGNATURE   the two parts
    payload.py join PAYLOAD SIGNATURE BUNDLE    and together again
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware" / "core"))

from linetap_core.errors import BadInput
from linetap_core.versions.payload import LENGTH, blocks, payload_bytes, sha256


def split(bundle: Path, payload: Path, signature: Path) -> None:
    with payload.open("wb") as out:
        for block in blocks(bundle):
            out.write(block)
    with bundle.open("rb") as file:
        file.seek(payload_bytes(bundle))
        signature.write_bytes(file.read()[:-LENGTH])


def join(payload: Path, signature: Path, bundle: Path) -> None:
    signed = signature.read_bytes()
    with payload.open("rb") as file, bundle.open("wb") as out:
        shutil.copyfileobj(file, out)
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
                print(sha256(args.bundle))
            case "same":
                first, second = sha256(args.first), sha256(args.second)
                print(f"{'the same' if first == second else 'not the same'}: {first} {second}")
                return int(first != second)
            case "split":
                split(args.bundle, args.payload, args.signature)
            case "join":
                join(args.payload, args.signature, args.bundle)
    except (BadInput, OSError) as why:
        print(f"payload: {why}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
