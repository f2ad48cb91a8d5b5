# SPDX-License-Identifier: Apache-2.0
"""Opens the vault's sealed files in this process, including truncated ones.

For tests with many calls: stock age is the reference, and opens some of every thousand as well.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linetap_core.evidence.keys import bech32
from linetap_core.evidence.sealing import age


def opened(data: bytes, secret: str) -> tuple[bytes, bool]:
    """The plaintext of every whole chunk of an age file, and whether the last chunk ends the file."""
    offset = age.payload_offset(data)
    header, nonce, payload = data[: offset - 16], data[offset - 16 : offset], data[offset:]
    key = _hkdf(_file_key(header, secret), nonce, b"payload")
    cipher, plain, ended = ChaCha20Poly1305(key), bytearray(), False
    for number, at in enumerate(range(0, len(payload), age.SEALED_CHUNK_BYTES)):
        chunk, count = payload[at : at + age.SEALED_CHUNK_BYTES], number.to_bytes(11, "big")
        for last in (b"\0", b"\1"):
            try:
                plain += cipher.decrypt(count + last, chunk, None)
            except InvalidTag:
                continue
            ended = last == b"\1"
            break
        else:
            raise InvalidTag
    return bytes(plain), ended


def _file_key(header: bytes, secret: str) -> bytes:
    _, raw = bech32.decode(secret)
    private = X25519PrivateKey.from_private_bytes(raw)
    public = private.public_key().public_bytes_raw()
    lines = header.split(b"\n")
    for stanza, body in zip(lines[1::2], lines[2::2], strict=False):
        share = _b64(stanza.split(b" ")[2])
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
        wrap = _hkdf(shared, share + public, age.X25519_LABEL)
        try:
            return ChaCha20Poly1305(wrap).decrypt(bytes(12), _b64(body), None)
        except InvalidTag:
            continue
    raise InvalidTag


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def _b64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))
