# SPDX-License-Identifier: Apache-2.0
"""What became of the card's encryption in this boot: a file below /run, written before systemd starts.

Its first word is read by usr/lib/linetap/data too. No file: a plain card, in a unit without a TPM.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAME = "linetap-card"
REFUSED = "linetap-card-refused"  # beside it: by this provision-linetap.service is started
MARK = "linetap-encrypting.txt"  # on the boot partition, while what is on state and data may be anything
_LIMIT_BYTES = 4096

Word = Literal["sealed", "plain", "refused"]


@dataclass(frozen=True, slots=True)
class Said:
    """`why`: what a person has to know of it, one line, or "". `boot`: of an encrypted card, as its TPM counts."""

    word: Word
    why: str = ""
    boot: int | None = None


def write(run: Path, said: Said) -> None:
    """Once a boot, into a /run that nobody else uses yet."""
    (run / NAME).write_text(f"{said.word} {said.boot or '-'}\n{said.why}\n")
    if said.word == "refused":
        (run / REFUSED).touch()


def read(run: Path) -> Said:
    try:
        with (run / NAME).open("rb") as file:
            lines = file.read(_LIMIT_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return Said("plain")
    word, _, boot = (lines or [""])[0].partition(" ")
    why = lines[1] if len(lines) > 1 else ""
    match word:
        case "sealed":
            return Said("sealed", why, int(boot) if boot.isdigit() else None)
        case "plain":
            return Said("plain", why)
        case _:
            return Said("refused", why or "the start of the card did not come to its end")
