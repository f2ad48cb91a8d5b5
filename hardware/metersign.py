#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signs a meter's program: `.venv/bin/python hardware/metersign.py build/meter/meter.elf --key maker.key -o meter.dfu`.

The key is Ed25519, as made by `linetap keygen unit -o maker.key`; meterbuild.py builds its public half into the loader.
The version is read from the program (meter/out.c). The file ends with a DFU suffix, so that `linetap meter update` and
dfu-util both accept it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from linetap.meterprogram.image import HEADER, MOST, header, with_suffix
from linetap_core.errors import BadInput, LinetapError
from meterbuild import METER, run

COPY = "arm-none-eabi-objcopy"


def program_of(elf: Path) -> bytes:
    """The bytes of the program in flash."""
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "program"
        run([COPY, "-O", "binary", str(elf), str(made)])
        return made.read_bytes()


def version_of(folder: Path = METER) -> tuple[int, int, int]:
    found = dict(re.findall(r"#define FIRMWARE_(\w+) (\d+)u", (folder / "out.c").read_text()))
    return int(found["MAJOR"]), int(found["MINOR"]), int(found["PATCH"])


def signed(program: bytes, version: tuple[int, int, int], key: Ed25519PrivateKey) -> bytes:
    """The signed image, without the DFU suffix."""
    if HEADER + len(program) > MOST:
        raise BadInput(f"a program of {len(program)} bytes; a meter has room for {MOST - HEADER}")
    body = header(version, len(program)) + program
    return key.sign(body) + body


def private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_ssh_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: no private key of OpenSSH without a password: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path}: an Ed25519 key expected")
    return key


def main() -> int:
    parser = argparse.ArgumentParser(description="Sign the meter's program.")
    parser.add_argument("elf", type=Path, help="as meterbuild.py part makes it")
    parser.add_argument("--key", type=Path, required=True, metavar="maker.key")
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="meter.dfu")
    args = parser.parse_args()
    try:
        version = version_of()
        args.out.write_bytes(with_suffix(signed(program_of(args.elf), version, private_key(args.key))))
    except LinetapError as error:
        print(f"metersign.py: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: program {'.'.join(map(str, version))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
