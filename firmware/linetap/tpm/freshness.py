# SPDX-License-Identifier: Apache-2.0
"""Whether a card is as this unit left it: the card says at which boot that was, and the TPM counts its boots.

An older copy of a card, put back after a boot, says less than the TPM and is not taken. The number lies inside the
encrypted file system: only who has opened it can write another.
"""

from __future__ import annotations

import os
from pathlib import Path

from linetap.errors import Refusal

NAME = ".boots"
_LIMIT_BYTES = 32


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
        fresh = folder / f"{NAME}.new"
        fresh.write_text(f"{count}\n")
        fd = os.open(fresh, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        fresh.rename(folder / NAME)
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def _read(folder: Path) -> int | None:
    try:
        with (folder / NAME).open("rb") as file:
            text = file.read(_LIMIT_BYTES)
        return int(text) if text.strip().isdigit() else None
    except OSError:
        return None
