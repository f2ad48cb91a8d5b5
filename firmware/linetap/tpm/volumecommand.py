# SPDX-License-Identifier: Apache-2.0
"""`linetap volume`: the partitions of a card, encrypted with a key that the unit's TPM alone gives out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap.tpm import bootpolicy, counter, create, freshness, volume
from linetap.tpm.device import DEVICE, Transport, open_device

_STEPS = {
    "make": "a key for a card, sealed in this TPM",
    "encrypt": "a partition that is not mounted, in place; or go on with it",
    "open": "an encrypted partition, as /dev/mapper/NAME",
    "test": "whether this TPM, in this boot, opens it",
    "fresh": "whether what is mounted is what this unit left; and count this boot",
    "needed": "whether this unit's card has to be encrypted: exit 0 if it was once",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, what in _STEPS.items():
        step = steps.add_parser(name, help=what, epilog=f"example: linetap volume {_EXAMPLES[name]}")
        step.add_argument("--tpm", type=Path, default=Path(DEVICE), metavar="DEVICE", help="default %(default)s")
        if name == "make":
            step.add_argument("--release", type=Path, default=Path(create.RELEASE), metavar="PEM", help="%(default)s")
            step.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="must not exist")
        if name in ("encrypt", "open", "test"):
            step.add_argument("partition", type=Path, metavar="PARTITION")
            step.add_argument("--sealed", type=Path, default=Path(_SEALED), metavar="FILE", help="default %(default)s")
            step.add_argument("--boots", type=Path, default=Path("/proc/cmdline"), help="default %(default)s")
        if name == "open":
            step.add_argument("name", metavar="NAME")
        if name == "fresh":
            step.add_argument("folder", type=Path, nargs="+", metavar="FOLDER", help="where they are mounted")


_SEALED = "/boot/firmware/volume.json"
_EXAMPLES = {
    "make": f"make -o {_SEALED}",
    "encrypt": "encrypt /dev/mmcblk0p4",
    "open": "open /dev/mmcblk0p4 state",
    "test": "test /dev/mmcblk0p4",
    "fresh": "fresh /state /var/lib/linetap",
    "needed": "needed",
}


def run(args: argparse.Namespace) -> int:
    match args.step:
        case "make":
            volume.make(args.output, args.tpm, create.release_of(args.release))
        case "encrypt" | "open" | "test":
            key = volume.key_in(args.sealed, args.partition, args.tpm, bootpolicy.read(args.boots))
            if args.step == "encrypt" or not volume.is_whole(args.partition):
                volume.encrypt(args.partition, args.sealed, key)
            if args.step == "open":
                volume.open_it(args.partition, args.name, key)
            elif args.step == "test":
                volume.test(args.partition, key)
        case _:
            transport = open_device(args.tpm)
            try:
                return _fresh(transport, args.folder) if args.step == "fresh" else _needed(transport)
            finally:
                transport.close()
    return 0


def _needed(transport: Transport) -> int:
    return 0 if counter.read(transport) is not None else 1


def _fresh(transport: Transport, folders: list[Path]) -> int:
    """The card first and the TPM second: between the two the card may say one more, and never less."""
    count = counter.read(transport)
    if count is None:
        count = counter.make(transport)
        freshness.write(folders, count)
    else:
        freshness.check(folders, count)
        freshness.write(folders, count + 1)
        count = counter.raise_it(transport)
    sys.stdout.write(f"boot {count}\n")
    return 0
