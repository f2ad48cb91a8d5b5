# SPDX-License-Identifier: Apache-2.0
"""A document and its signature beside it (NAME.json, NAME.json.sig), in the bytes that stock ssh-keygen writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence import keys, namespaces, sshsig
from linetap_core.evidence.keys import SigningKey

_KEY_LIMIT_BYTES = 64 * 1024


def load_key(path: Path) -> SigningKey:
    """A person's signing key. One with a passphrase is left to ssh-keygen, which asks for it."""
    try:
        with path.open("rb") as file:
            return keys.load_signing_key(file.read(_KEY_LIMIT_BYTES))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an OpenSSH private key would be right") from None
    except keys.HasPassphrase:
        raise BadInput(f"{path}: has a passphrase: leave the option out, and sign with ssh-keygen -Y sign") from None
    except BadInput:
        raise BadInput(f"{path}: not an Ed25519 key of OpenSSH's; `linetap keygen authority` makes one") from None


def signature_of(path: Path) -> Path:
    return namespaces.beside(path)


def require_free(*paths: Path) -> None:
    """BadInput if one of the names is taken, or its folder is not there."""
    for path in paths:
        if path.exists():
            raise BadInput(f"{path}: exists and is not overwritten; another name would be right")
        if not path.absolute().parent.is_dir():
            raise BadInput(f"{path}: there is no folder {path.parent}")


def write(path: Path, data: bytes, key: SigningKey | Sequence[SigningKey] | None, namespace: str) -> None:
    """Signature first: whoever watches the document finds both. Without a key, says how to sign it. Of several keys
    the signatures stand behind one another."""
    signers: Sequence[SigningKey] = [] if key is None else key if isinstance(key, Sequence) else [key]
    if signers:
        text = "".join(sshsig.sign(data, each, namespace) for each in signers)
        privatefile.write(signature_of(path), text.encode("ascii"))
    privatefile.write(path, data)
    path.chmod(0o644)  # signed to be shown
    if not signers:
        sys.stderr.write(f"not signed yet: ssh-keygen -Y sign -f KEY -n {namespace} {path}\n")
    else:
        signature_of(path).chmod(0o644)
