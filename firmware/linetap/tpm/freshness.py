# SPDX-License-Identifier: Apache-2.0
"""Whether a card is as this unit left it: the card says at which boot that was, and the TPM counts its boots.

An older copy of a card, put back after a boot, says less than the TPM and is not taken. The number lies inside the
encrypted file system: only who has opened it can write another.
"""

from __future__ import annotations

from pathlib import Path

from linetap.durable import twin
from linetap.durable.envelope import Broken
from linetap.durable.smallfile import SmallFile
from linetap.errors import Refusal

NAME = ".boots"
_LIMIT_BYTES = 512
_MOST_DIGITS = 12


def _old(data: bytes) -> int:
    text = data.decode("ascii").strip()
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise ValueError("a number of boots would be right")
    return int(text)


_FILE = SmallFile("boots", int, _LIMIT_BYTES, _old)


class Stale(Refusal):
    """The card is not as this unit left it: it is an older copy, or another's."""

    code = "card_stale"


def check(folders: list[Path], count: int) -> None:
    """Nothing, if each says `count`, or the next: a power cut came after it was written and before the TPM counted."""
    for folder in folders:
        found = _read(folder)
        if found not in (count, count + 1):
            said = "does not say" if found is None else f"is of boot {found}"
            raise Stale(f"{folder}: the card {said}, and the TPM has counted {count}: an older copy, and not taken")


def write(folders: list[Path], count: int) -> None:
    """On disk when this returns. Before the TPM counts."""
    for folder in folders:
        twin.replace_both(_FILE, folder / NAME, count)


def _read(folder: Path) -> int | None:
    try:
        return twin.read_either(_FILE, folder / NAME, stays=True)
    except (OSError, Broken):
        return None
