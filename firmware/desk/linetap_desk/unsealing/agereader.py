# SPDX-License-Identifier: Apache-2.0
"""Decrypts age v1 (https://c2sp.org/age) for X25519 identities in this process: for machines without the `age` program,
and on Windows for a call's key, which must not be passed to another process in a file (decision 0165).

Every file also opens with stock `age`; tests compare the two, with valid and broken files. Like stock `age`, and unlike
libraries, it returns every whole chunk of a part that a restart cut short.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import io
from collections.abc import Iterator, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linetap_core.errors import Refusal
from linetap_core.evidence.keys import bech32
from linetap_core.evidence.keys.keys import AgeIdentity
from linetap_core.evidence.sealing import age

_FILE_KEY_BYTES, _MAC_BYTES, _LINE = 16, 32, 64
_MOST_STANZAS = 100


class Unopened(Refusal):
    """No identity fits, or the file is not a valid age file."""

    code = "does_not_open"


class Readable(Protocol):
    """A file. `read` returns fewer bytes than asked for at its end only."""

    def read(self, count: int, /) -> bytes: ...


class Chunks:
    """The plaintext of a file, chunk by chunk as it is read; Unopened if no identity fits or the header is damaged.

    `fault`, after the last chunk: empty for a whole file; otherwise only the whole chunks before the fault came.
    """

    def __init__(self, file: Readable, identities: Sequence[AgeIdentity]) -> None:
        begin = file.read(age.HEADER_LIMIT_BYTES)
        try:
            offset = age.payload_offset(begin)
        except age.NotAge as error:
            raise Unopened(str(error)) from None
        nonce_at = offset - age.NONCE_BYTES
        file_key = _file_key(begin[:nonce_at], identities)
        self._cipher = ChaCha20Poly1305(_hkdf(file_key, begin[nonce_at:offset], b"payload"))
        self._file, self._ahead = file, begin[offset:]
        self.fault = ""

    def __iter__(self) -> Iterator[bytes]:
        number = 0
        while chunk := self._next_bytes(age.SEALED_CHUNK_BYTES):
            opened, is_last = _chunk(self._cipher, number, chunk)
            number += 1
            if opened is None or (is_last and number > 1 and not opened):
                self.fault = f"chunk {number} is damaged, or was cut short"
                return
            yield opened
            if is_last:
                self.fault = "there is more behind its end" if self._next_bytes(1) else ""
                return
        self.fault = "its end is missing"

    def _next_bytes(self, count: int) -> bytes:
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return taken if len(taken) == count else taken + self._file.read(count - len(taken))


def decrypt(data: bytes, identities: Sequence[AgeIdentity]) -> tuple[bytes, str]:
    """The plaintext and the fault of `Chunks`."""
    chunks = Chunks(io.BytesIO(data), identities)
    return b"".join(chunks), chunks.fault


def _chunk(cipher: ChaCha20Poly1305, number: int, chunk: bytes) -> tuple[bytes | None, bool]:
    """The plaintext, and whether the chunk is marked as the last. Only the last may be shorter than a full chunk."""
    for is_last in (False, True) if len(chunk) == age.SEALED_CHUNK_BYTES else (True,):
        try:
            return cipher.decrypt(number.to_bytes(11, "big") + bytes([is_last]), chunk, None), is_last
        except InvalidTag:
            continue
    return None, False


def _file_key(header: bytes, identities: Sequence[AgeIdentity]) -> bytes:
    text, _, mac = header[:-1].rpartition(b" ")
    stanzas = list(_stanzas(text.removesuffix(b"---").split(b"\n")))
    for identity in identities:
        private = X25519PrivateKey.from_private_bytes(bech32.decode(identity.secret)[1])
        public = private.public_key().public_bytes_raw()
        for words, body in stanzas:
            if words[0] == b"X25519" and (key := _unwrap_file_key(private, public, words[1:], body)) is not None:
                if not hmac.compare_digest(hmac.digest(_hkdf(key, b"", b"header"), text, "sha256"), _base64(mac)):
                    raise Unopened("the header was changed: its MAC does not match")
                return key
    raise Unopened("no identity matched any of the recipients")


def _stanzas(lines: list[bytes]) -> Iterator[tuple[list[bytes], bytes]]:
    """The words after `->`, and the body, of each stanza."""
    rest = iter(lines[1:-1])
    for number, line in enumerate(rest):
        words = line.split(b" ")
        if number >= _MOST_STANZAS or words[0] != b"->" or len(words) < 2 or not all(words[1:]):
            raise Unopened("its header is malformed")
        body = []
        for part in rest:
            body.append(part)
            if len(part) < _LINE:
                break
        else:
            raise Unopened("its header is malformed")
        if any(len(part) > _LINE for part in body):
            raise Unopened("its header is malformed")
        yield words[1:], _base64(b"".join(body))


def _unwrap_file_key(private: X25519PrivateKey, public: bytes, words: list[bytes], body: bytes) -> bytes | None:
    """The file key; None if the stanza is for another identity."""
    share = _base64(words[0]) if len(words) == 1 else b""
    if len(share) != len(public) or len(body) != _FILE_KEY_BYTES + age.TAG_BYTES:
        raise Unopened("its header is malformed")
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise Unopened("its header is malformed: a share of low order") from None
    try:
        return ChaCha20Poly1305(_hkdf(shared, share + public, age.X25519_LABEL)).decrypt(bytes(12), body, None)
    except InvalidTag:
        return None


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def _base64(text: bytes) -> bytes:
    """Decodes unpadded base64, in the only spelling that age accepts."""
    try:
        found = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise Unopened("its header is malformed") from None
    if base64.b64encode(found).rstrip(b"=") != text:
        raise Unopened("its header is malformed")
    return found
