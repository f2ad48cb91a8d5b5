# SPDX-License-Identifier: Apache-2.0
"""The officers of a group in different places: each takes a layer off, and hands on what is closed to all but the next.

How far a step goes is known before a key is used, by how many private files are named: so the access log says it first.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.evidence.sealing import group
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import checkedcall
from linetap_desk.unsealing.checkedcall import KEY_LIMIT_BYTES, SealedKey


@dataclass(frozen=True, slots=True)
class Turn:
    """`most`: so many layers come off; `left`: so many officers are still to come, 0: none."""

    key: SealedKey
    part: bytes | None
    most: int
    left: int

    def take(self, identities: list[Path]) -> bytes:
        """What is under those layers: the custodians' where nobody is left. Refusal if the identities do not fit."""
        return checkedcall.peel(self.key, identities, self.most, self.part).data


def add_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--partial", type=Path, metavar="PART.age", help="of a group: what an officer before you has made of this call"
    )


def turn(args: argparse.Namespace, key: SealedKey) -> Turn:
    """BadInput or Refusal, before anything is opened, where the partial is not of this key."""
    part = None if args.partial is None else read(args.partial)
    if part is not None:
        group.require_part(part, key.data)
    wanted = group.needed(key.data if part is None else part)
    most = min(len(args.identity), wanted)
    return Turn(key, part, most, wanted - most)


def read(path: Path) -> bytes:
    try:
        return callfolder.read(path, KEY_LIMIT_BYTES)
    except callfolder.Damaged as error:
        raise BadInput(f"{path}: {error}; what the officer before you has made would be right") from None


def say(output: Path, left: int, who: str) -> None:
    more = f"{left} more {who}{'s' * (left > 1)} of the group"
    sys.stderr.write(f"{output}: a partial: closed to all but {more}, whose number is higher\n")
