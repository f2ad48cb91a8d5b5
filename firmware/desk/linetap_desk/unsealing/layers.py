# SPDX-License-Identifier: Apache-2.0
"""Removes the layers of a call's key: the epoch's, and in a group of officers each one's; the officers pass a partial
on.

A partial is encrypted to the following officers only. The number of private files determines, before any key is used,
how many layers a step removes, so that the access log records it first.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.calls import callkey, sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.sealing import group, members
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.unsealing import stockage
from linetap_desk.unsealing.checkedcall import SealedKey


def outer_layer(key: SealedKey, identities: list[Path]) -> bytes:
    """The part sealed to the custodians. A Refusal if the identities are not those of the epoch, or of its group."""
    return peel(key, identities, members.MOST_NEEDED).data


def peel(key: SealedKey, identities: list[Path], most: int, part: bytes | None = None) -> group.Peeled:
    """Removes the epoch's layers of at most `most` people. `part`: the partial of an earlier officer for this key."""
    if part is not None:
        group.require_part(part, key.data)
    try:
        peeled = group.peel(part or key.data, lambda layer: stockage.decrypt(layer, identities), most)
    except Refusal as error:
        raise Refusal(f"{sealed.KEY}: the epoch's layer does not open: {error}") from None
    if not peeled.left and not group.is_sealed(peeled.data):
        raise Refusal(f"{sealed.KEY}: there is no custodians' layer inside the epoch's")
    if not peeled.left and key.inner_sha256 not in ("", hashlib.sha256(peeled.data).hexdigest()):
        raise NotReleased("other_inner", f"{sealed.KEY}: what is in it is not what this call was sealed with")
    if not peeled.left:
        require_of_call(peeled.data, key.call)
    return peeled


def require_of_call(blob: bytes, call: OfCall) -> None:
    """NotReleased if the custodians' layer names another call than the record.

    Keys of version 0.1 name no call: then record, signature and the log's close must suffice.
    """
    try:
        found = callkey.read(blob)
    except Refusal as error:
        raise NotReleased("key_of_another_call", f"{sealed.KEY}: {error}") from None
    if found not in (None, call):
        raise NotReleased("key_of_another_call", f"{sealed.KEY}: it is the key of {found}, not of {call}")


@dataclass(frozen=True, slots=True)
class OfficerStep:
    """A step. `most`: the number of layers to remove; `left`: the number of officers still needed."""

    key: SealedKey
    part: bytes | None
    most: int
    left: int

    def remove_layers(self, identities: list[Path]) -> bytes:
        """The content below these layers: the custodians' layer if `left` is 0. A Refusal if the identities do not
        fit."""
        return peel(self.key, identities, self.most, self.part).data


def add_partial_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--partial", type=Path, metavar="PART.age", help="in a group: an earlier officer's partial of this call"
    )


def officer_step(args: argparse.Namespace, key: SealedKey) -> OfficerStep:
    """The step. BadInput or a Refusal, before anything is opened, if the partial does not belong to this key."""
    part = None if args.partial is None else read_partial(args.partial)
    if part is not None:
        group.require_part(part, key.data)
    wanted = group.needed(key.data if part is None else part)
    most = min(len(args.identity), wanted)
    return OfficerStep(key, part, most, wanted - most)


def read_partial(path: Path) -> bytes:
    try:
        return callfolder.read(path, KEY_LIMIT_BYTES)
    except callfolder.Damaged as error:
        raise BadInput(f"{path}: {error}; what the officer before you has made expected") from None


def say_partial(output: Path, left: int, who: str) -> None:
    more = f"{left} more {who}{'s' * (left > 1)} of the group"
    sys.stderr.write(f"{output}: a partial: closed to all but {more}, whose number is higher\n")
