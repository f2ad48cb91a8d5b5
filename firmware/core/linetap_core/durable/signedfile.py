# SPDX-License-Identifier: Apache-2.0
"""A document and its signature beside it (NAME.json, NAME.json.sig) in the form of stock ssh-keygen; and a signed key
list.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey, SigningKey
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import KeyList, KeyListFault
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority

_KEY_LIMIT_BYTES = 64 * 1024
_OF_TLS = re.compile(rb"-----BEGIN (?:EC |RSA |ENCRYPTED )?PRIVATE KEY-----")  # PKCS #8 and the older formats


def load_key(path: Path) -> SigningKey:
    """A person's signing key. A key with a passphrase is refused: ssh-keygen prompts for it and signs."""
    try:
        with path.open("rb") as file:
            data = file.read(_KEY_LIMIT_BYTES)
        return keys.load_signing_key(data)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an OpenSSH private key expected") from None
    except keys.HasPassphrase:
        raise BadInput(f"{path}: has a passphrase: leave the option out, and sign with ssh-keygen -Y sign") from None
    except BadInput:
        if _OF_TLS.search(data):
            raise BadInput(f"{path}: is a TLS key, which signs nothing; an Ed25519 key of OpenSSH's expected") from None
        raise BadInput(f"{path}: not an Ed25519 key of OpenSSH's; `linetap keygen authority` makes one") from None


def signature_of(path: Path) -> Path:
    return namespaces.signature_path(path)


def require_free(*paths: Path) -> None:
    """Raises BadInput if a name is taken or its folder is missing."""
    for path in paths:
        if path.exists():
            raise BadInput(f"{path}: exists and is not overwritten; another name expected")
        if not path.absolute().parent.is_dir():
            raise BadInput(f"{path}: there is no folder {path.parent}")


def write(path: Path, data: bytes, key: SigningKey | Sequence[SigningKey] | None, namespace: str) -> None:
    """Writes the signature, then the document, so that a process that watches for the document finds both; neither if
    one cannot be written. Without a key, prints the command that signs it. The signatures of several keys are
    concatenated.
    """
    signers: Sequence[SigningKey] = [] if key is None else key if isinstance(key, Sequence) else [key]
    if signers:
        text = "".join(sshsig.sign(data, each, namespace) for each in signers)
        privatefile.write_public(signature_of(path), text.encode("ascii"))
    try:
        privatefile.write_public(path, data)
    except BadInput:
        if signers:
            signature_of(path).unlink(missing_ok=True)
        raise
    if not signers:
        sys.stderr.write(f"not signed yet: ssh-keygen -Y sign -f KEY -n {namespace} {path}\n")


class Unreadable(KeyListFault):
    code = "key_list_unreadable"


def load_key_list(path: Path) -> tuple[bytes, bytes]:
    """The bytes of the list and of its signature, unverified."""
    return _read(path, keylist.LIST_LIMIT_BYTES), _read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)


def read_key_list(path: Path, authority: PublicKey | Authority) -> KeyList:
    """The list, verified against the authority; a KeyListFault names the file and the fault."""
    try:
        return keylist.read(*load_key_list(path), authority)
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
