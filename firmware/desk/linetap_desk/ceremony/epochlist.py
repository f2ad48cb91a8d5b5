# SPDX-License-Identifier: Apache-2.0
"""The key list as the vault officer has it, who made it: sound in itself, whether it is signed yet or not."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from linetap_core.errors import BadInput
from linetap_core.evidence import keylist, members
from linetap_core.evidence.keylist import Epoch, KeyList, Overflow


def load(path: Path) -> KeyList:
    try:
        with path.open("rb") as file:
            return keylist.sound(file.read(keylist.LIST_LIMIT_BYTES))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; a key list would be right") from None
    except keylist.KeyListFault as fault:
        raise BadInput(f"{path}: {fault}") from None


def next_version(
    args: argparse.Namespace, old: KeyList | None, days: list[Epoch], more: list[Overflow], created: str
) -> KeyList:
    """A first list of these, or the next version of `old` with them behind its own."""
    custodians: list[str] = args.custodian
    if args.custodians_needed > 1:
        custodians = [str(members.of(custodians, args.custodians_needed))]
    if old is None:
        return KeyList(version=1, made_at=created, zone=args.zone, epochs=days, overflow=more, custodians=custodians)
    return msgspec.structs.replace(
        old, version=old.version + 1, made_at=created, epochs=[*old.epochs, *days], overflow=[*old.overflow, *more],
        custodians=custodians or old.custodians,
    )  # fmt: skip
