# SPDX-License-Identifier: Apache-2.0
"""`linetap volume`: the partitions of a card, encrypted with a key that the unit's TPM alone gives out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap.provision import cardstart
from linetap.tpm import bootpolicy, freshness, volume
from linetap.tpm.device import DEVICE

_STEPS = {
    "start": "in the initramfs: open the card, encrypt a new one, or refuse it",
    "test": "whether this TPM, in this boot, opens an encrypted state partition",
    "follows": "check that the data partition is as this unit left it, and bind it to this boot",
}
_EXAMPLES = {
    "start": "start /dev/mmcblk0p4 /dev/mmcblk0p5 /dev/mmcblk0p1",
    "test": "test /dev/mmcblk0p4",
    "follows": "follows /state /var/lib/linetap",
}
# What the initramfs does by it: 0, state is mounted; 1, the card is not to be used; 3, it is a plain one.
_STATUS = {"sealed": 0, "refused": 1, "plain": 3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, what in _STEPS.items():
        step = steps.add_parser(name, help=what, epilog=f"example: linetap volume {_EXAMPLES[name]}")
        if name == "follows":
            step.add_argument("state", type=Path, metavar="FOLDER")
            step.add_argument("data", type=Path, metavar="FOLDER")
            continue
        step.add_argument("--tpm", type=Path, default=Path(DEVICE), metavar="DEVICE", help="default %(default)s")
        step.add_argument("--boots", type=Path, default=Path("/proc/cmdline"), help="default %(default)s")
        step.add_argument("state", type=Path, metavar="STATE", help="the state partition")
        if name == "start":
            step.add_argument("data", type=Path, metavar="DATA", help="the data partition")
            step.add_argument("boot", type=Path, metavar="BOOT", help="the boot partition")


def run(args: argparse.Namespace) -> int:
    match args.step:
        case "start":
            card = cardstart.Card(
                volume.state(args.state), volume.data(args.data), args.boot, tpm=args.tpm, boots=args.boots
            )
            said = cardstart.start(card)
            if said.word != "plain" or said.why:
                count = f", boot {said.boot}" if said.boot is not None else ""
                sys.stderr.write(f"card {said.word}{count}{': ' if said.why else ''}{said.why}\n")
            return _STATUS[said.word]
        case "test":
            secret = volume.secret_of(args.state, args.tpm, bootpolicy.read(args.boots))
            volume.test(volume.state(args.state), secret)
        case _:
            freshness.check_data(args.state, args.data)
    return 0
