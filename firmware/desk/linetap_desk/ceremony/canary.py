# SPDX-License-Identifier: Apache-2.0
"""A canary is a small age file sealed to an epoch, in `canary/` beside the key list: it opens as long as the epoch's
key exists.

An epoch has one canary for each of its keys, a group one for each officer's key. It is tried with stock age before and
after a destruction.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence import sealing
from linetap_core.evidence.sealing import age
from linetap_desk.ceremony.sheets import INDEX, OFFICER, EpochKeys
from linetap_desk.unsealing import stockage

FOLDER = "canary"
_LIMIT_BYTES = 64 * 1024


class Canary:
    def __init__(self, key_list: Path, epoch: str, officer: int = 0) -> None:
        """`epoch`: its name for the key of calls, with the suffix `.index` for that of its index; `officer`: a group's
        member."""
        whose = f".{OFFICER}{officer}" if officer else ""
        self.officer = officer
        self.is_index = epoch.endswith(INDEX)
        self.path = key_list.absolute().parent / FOLDER / f"{epoch}{whose}{sealing.SUFFIX}"
        self._words = f"linetap canary {epoch}\n".encode("ascii")

    def seal(self, recipient: str) -> None:
        self._write(age.encrypt(self._words, [recipient]))

    def copy(self, other: Canary) -> None:
        """Copies the canary of the same epoch from another list's folder."""
        self._write(other._bytes())

    def _write(self, data: bytes) -> None:
        self.path.parent.mkdir(exist_ok=True)
        privatefile.write_public(self.path, data)

    def sha256(self) -> str:
        return hashlib.sha256(self._bytes()).hexdigest()

    def opens(self, identity: Path) -> bool:
        """Whether stock age opens the canary with the identity file."""
        try:
            return stockage.decrypt(self._bytes(), [identity]) == self._words
        except stockage.DoesNotOpen:
            return False

    def opens_with(self, secret: str) -> bool:
        """Whether the canary opens with a key typed from a sheet."""
        return stockage.decrypt_with_key(self._bytes(), f"{secret.strip()}\n".encode()).plaintext == self._words

    def _bytes(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.read(_LIMIT_BYTES)
        except OSError as error:
            raise BadInput(f"{self.path}: {error.strerror}; the canary made with the key list expected") from None


def require_new(key_list: Path, epoch: str) -> None:
    """BadInput if keys of that epoch exist already, for this list or another one in its folder."""
    for officer in (0, 1):
        path = Canary(key_list, epoch, officer).path
        if path.exists():
            text = "other days expected, or this file removed if no list has them"
            raise BadInput(f"{path}: the keys of {epoch} were made already; {text}")


def make(key_list: Path, keys: EpochKeys) -> None:
    """Writes the canaries of all keys of an epoch."""
    Canary(key_list, keys.name, keys.officer).seal(keys.call.recipient)
    if keys.index is not None:
        Canary(key_list, keys.name + INDEX, keys.officer).seal(keys.index.recipient)


def remove(key_list: Path, epoch: str) -> None:
    """Removes the canaries of an epoch whose list could not be written."""
    for path in Canary(key_list, epoch).path.parent.glob(f"{epoch}.*"):
        path.unlink()
