# SPDX-License-Identifier: Apache-2.0
"""A key list as it lies on a disk: NAME.json, and NAME.json.sig beside it, so that stock ssh-keygen checks it."""

from __future__ import annotations

from pathlib import Path

from linetap_core.evidence import keylist, namespaces, sshsig
from linetap_core.evidence.authority import Authority
from linetap_core.evidence.keylist import KeyList, KeyListFault
from linetap_core.evidence.keys import PublicKey


class Unreadable(KeyListFault):
    code = "key_list_unreadable"


def load(path: Path) -> tuple[bytes, bytes]:
    """The list's bytes and the signature's, unchecked."""
    return _read(path, keylist.LIST_LIMIT_BYTES), _read(namespaces.beside(path), sshsig.SIGNATURE_LIMIT_BYTES)


def read(path: Path, authority: PublicKey | Authority) -> KeyList:
    """The list that the authority has signed; a KeyListFault names the file and what is wrong."""
    try:
        return keylist.read(*load(path), authority)
    except KeyListFault as fault:
        raise type(fault)(f"{path}: {fault}") from None


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}") from None
    if len(data) > limit_bytes:
        raise keylist.Malformed(f"{path.name} is larger than {limit_bytes} bytes")
    return data
