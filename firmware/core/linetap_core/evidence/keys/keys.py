# SPDX-License-Identifier: Apache-2.0
"""The two kinds of key: X25519 identities of age (a call, a custodian, an epoch), and signing keys.

A signing key is Ed25519, or ECDSA P-256, the kind of hardware such as a TPM. A passkey, also P-256, signs in a browser
the content of a page of its own site (signing/assertion.py).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import bech32, p256, passkey
from linetap_core.evidence.keys.passkey import SSH_PASSKEY, PasskeyKey
from linetap_core.evidence.keys.publickeys import (
    KEY_BYTES,
    POINT_BYTES,
    SECRET_PREFIX,
    SSH_ED25519,
    SSH_P256,
    blob_kind,
    decode,
    encode_recipient,
    ssh_string,
)

OPENSSH_MAGIC = b"openssh-key-v1\0"

type PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey | PasskeyKey


class SigningKey(Protocol):
    """A private key that signs: an Ed25519PrivateKey, a P256Key, or a key in a TPM."""

    def public_key(self) -> PublicKey: ...

    def sign(self, data: bytes, /) -> bytes:
        """The raw signature in SSH's form: 64 bytes of Ed25519, or `p256.encode` of r and s."""


class HasPassphrase(BadInput):
    """The private key file has a passphrase: only ssh-keygen, which prompts for it, opens it."""


@dataclass(frozen=True, slots=True)
class AgeIdentity:
    """An age identity: `recipient` (`age1...`), public; `secret` (`AGE-SECRET-KEY-1...`), private, not in the repr."""

    recipient: str
    secret: str = field(repr=False)


def new_identity() -> AgeIdentity:
    key = X25519PrivateKey.generate()
    secret = bech32.encode(SECRET_PREFIX, key.private_bytes_raw()).upper()
    return AgeIdentity(encode_recipient(key.public_key().public_bytes_raw()), secret)


def decode_secret(text: str) -> AgeIdentity:
    """The identity of an `AGE-SECRET-KEY-1...` line. Errors never quote the text."""
    raw = decode(text, SECRET_PREFIX, "not an age identity: ", "AGE-SECRET-KEY-1...")
    public = X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    return AgeIdentity(encode_recipient(public), text.upper())


def identity_file(identity: AgeIdentity, created: str) -> str:
    """The text of an identity file as age-keygen writes it. `created` is RFC 3339."""
    return f"# created: {created}\n# public key: {identity.recipient}\n{identity.secret}\n"


def parse_identity_file(text: str) -> list[AgeIdentity]:
    """All identities of a file; BadInput names an invalid line."""
    identities = []
    for number, line in _lines(text):
        try:
            identities.append(decode_secret(line))
        except BadInput as error:
            raise BadInput(f"line {number}: {error}") from None
    if not identities:
        raise BadInput("there is no AGE-SECRET-KEY-1... line in it")
    return identities


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def new_unit_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def unit_key_file(key: Ed25519PrivateKey) -> bytes:
    """The key in OpenSSH's private format, without a passphrase: a unit starts unattended."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def load_unit_key(data: bytes) -> Ed25519PrivateKey:
    """The key of an OpenSSH private key file; BadInput if it is invalid, has a passphrase or is of another kind."""
    key = load_signing_key(data)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput("not an Ed25519 key: `linetap keygen unit` makes one")
    return key


def _has_passphrase(data: bytes) -> bool:
    """Whether a key file has a passphrase, by its header (PROTOCOL.key of OpenSSH): versions of `cryptography` refuse
    such a key differently.
    """
    body = data.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")[2].partition(b"-----END")[0]
    try:
        header = base64.b64decode(b"".join(body.split())[:96])  # magic and the cipher's name
    except ValueError:
        return False
    return header.startswith(OPENSSH_MAGIC) and not header.startswith(OPENSSH_MAGIC + ssh_string(b"none"))


def load_signing_key(data: bytes) -> Ed25519PrivateKey | p256.P256Key:
    """A signing key of any kind, from an OpenSSH private key file; errors as in `load_unit_key`."""
    # 1 MB with all its formats, not needed to verify a signature.
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    if _has_passphrase(data):
        raise HasPassphrase("the key has a passphrase: a unit's key has none")
    try:
        key = load_ssh_private_key(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise BadInput("not an OpenSSH private key: `linetap keygen unit` makes one") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return p256.P256Key(key)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput("not an Ed25519 key, nor one of ECDSA P-256: `linetap keygen unit` makes one")
    return key


def public_line(key: PublicKey, comment: str = "") -> str:
    """`ssh-ed25519 AAAA... comment`, as in a .pub file, without the line end."""
    line = f"{kind_of(key).decode()} {base64.b64encode(public_blob(key)).decode('ascii')}"
    return f"{line} {comment}" if comment else line


def kind_of(key: PublicKey) -> bytes:
    """SSH's name for this kind of key."""
    if isinstance(key, PasskeyKey):
        return SSH_PASSKEY
    return SSH_ED25519 if isinstance(key, Ed25519PublicKey) else SSH_P256


def public_blob(key: PublicKey) -> bytes:
    """The key in SSH's form (RFC 8709 section 4, RFC 5656 section 3.1)."""
    if isinstance(key, Ed25519PublicKey):
        return ssh_string(SSH_ED25519) + ssh_string(key.public_bytes_raw())
    return passkey.blob(key) if isinstance(key, PasskeyKey) else p256.blob(key)


def from_blob(blob: bytes) -> PublicKey:
    """The key of these bytes; BadInput if they are no key."""
    kind = blob_kind(blob)
    if kind == SSH_ED25519:
        return Ed25519PublicKey.from_public_bytes(blob[-KEY_BYTES:])
    if kind == SSH_P256:
        return p256.from_point(blob[-POINT_BYTES:])
    raise BadInput("not a public key of Ed25519 or ECDSA P-256: copy the .pub line as it is")


def check_raw(key: PublicKey, raw: bytes, data: bytes) -> None:
    """Raises InvalidSignature unless `raw`, in SSH's form, is the key's signature over `data`; always for a passkey."""
    if isinstance(key, PasskeyKey):
        raise InvalidSignature
    if isinstance(key, Ed25519PublicKey):
        key.verify(raw, data)
    else:
        p256.verify(key, raw, data)


def fingerprint(key: PublicKey) -> str:
    """`SHA256:...` as ssh-keygen -l prints it."""
    return fingerprint_of(public_blob(key))


def fingerprint_of(blob: bytes) -> str:
    """The fingerprint of a key in SSH's form."""
    digest = hashlib.sha256(blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")
