# SPDX-License-Identifier: Apache-2.0
"""The key list as the vault officer has it, who made it: sound in itself, whether it is signed yet or not."""

from __future__ import annotations

from pathlib import Path

from linetap.errors import BadInput
from linetap.evidence import keylist
from linetap.evidence.keylist import KeyList


def load(path: Path) -> KeyList:
    try:
        with path.open("rb") as file:
            return keylist.sound(file.read(keylist.LIST_LIMIT_BYTES))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; a key list would be right") from None
    except keylist.KeyListFault as fault:
        raise BadInput(f"{path}: {fault}") from None
