# SPDX-License-Identifier: Apache-2.0
"""age v1 (https://c2sp.org/age), the writing half: incremental, X25519 recipients.

There is no reading half: stock `age` opens the files, as promised. A truncated part is usable up to its last whole
chunk, whose place follows from the file's size alone (`payload_offset`, `plaintext_size`), so that a restart needs no
secret.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys.publickeys import KEY_BYTES, decode_recipient

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
NONCE_BYTES = 16
VERSION_LINE = b"age-encryption.org/v1\n"
X25519_LABEL = b"age-encryption.org/v1/X25519"
HEADER_LIMIT_BYTES = 64 * 1024  # ours has 200 bytes, and 100 for each custodian; a longer one is no header
_ONLY_CHUNK = bytes(11) + b"\1"  # nonce of a first chunk that is also the last
_SHA256 = SHA256()
_MAC_LINE_BYTES = len(b"--- ") + 43 + 1


class NotAge(Refusal):
    """The bytes do not begin like an age v1 file, or end within the header."""

    code = "not_age"


class AgeWriter:
    """One age file, encrypted as plaintext arrives: `header`, then the results of `write`, finally that of `finish`.

    The file key is made here, used only for this file, and dropped at `finish`. A writer whose output could not be
    stored must be discarded: the same chunk with other contents would repeat a nonce.
    """

    def __init__(self, recipients: Sequence[bytes | str], stanza: bytes = b"") -> None:
        """`recipients`: `age1...` or the 32 raw bytes of each; BadInput if one is unusable or there are none. `stanza`:
        one more for the header, of a kind unknown to age.
        """
        file_key, text = _new_header(recipients, stanza)
        nonce = os.urandom(NONCE_BYTES)
        self.header = text + nonce
        self._cipher: ChaCha20Poly1305 | None = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
        self._pending = bytearray()
        self._counter = 0

    def write(self, data: bytes) -> bytes:
        """Accepts plaintext and returns every complete encrypted chunk: none, or whole ones of SEALED_CHUNK_BYTES.

        A full chunk is held back until more plaintext arrives: the last chunk is marked, and must not be empty.
        """
        self._pending += data
        out = []
        while len(self._pending) > CHUNK_BYTES:
            out.append(self._seal(bytes(self._pending[:CHUNK_BYTES]), last=False))
            del self._pending[:CHUNK_BYTES]
        return b"".join(out)

    def seal_alone(self, data: bytearray) -> bytes:
        """A file of one chunk: `data` is encrypted in place, so that no copy of it remains."""
        if len(data) > CHUNK_BYTES:
            raise ValueError("more than a chunk")
        sealed = self._seal(data, last=True)
        self._cipher = None
        return sealed

    def finish(self) -> bytes:
        """Returns the last chunk and drops the key: no later call is allowed."""
        sealed = self._seal(bytes(self._pending), last=True)
        self._pending.clear()
        self._cipher = None
        return sealed

    def _seal(self, chunk: bytes | bytearray, *, last: bool) -> bytes:
        if self._cipher is None:
            raise ValueError("this age file is finished")
        nonce = self._counter.to_bytes(11, "big") + bytes([last])
        self._counter += 1
        return self._cipher.encrypt(nonce, chunk, None)


class AgeSeries:
    """Small age files with one header, each with its own payload key: HKDF of the file key and a random nonce.

    Only for the journal. It knowingly breaks a MUST NOT of the specification, that a file key is used for one file:
    decision 0026.
    """

    MOST = 64  # most files of a series; callers begin a new one long before

    def __init__(self, recipients: Sequence[bytes | str]) -> None:
        """`recipients`: as in AgeWriter."""
        self._file_key, self._header = _new_header(recipients)
        self.files = 0

    def seal(self, data: bytes) -> bytes:
        """A whole age file of at most CHUNK_BYTES; ValueError for more, or if the series is used up."""
        if not 0 < len(data) <= CHUNK_BYTES or self.files >= self.MOST:
            raise ValueError(f"{len(data)} bytes as file {self.files + 1} of a series")
        self.files += 1
        nonce = os.urandom(NONCE_BYTES)
        cipher = ChaCha20Poly1305(_hkdf(self._file_key, nonce, b"payload"))
        return self._header + nonce + cipher.encrypt(_ONLY_CHUNK, data, None)


def encrypt(data: bytes, recipients: Sequence[bytes | str], stanza: bytes = b"") -> bytes:
    """`data` as one age file."""
    writer = AgeWriter(recipients, stanza)
    return writer.header + writer.write(data) + writer.finish()


def payload_offset(prefix: bytes) -> int:
    """The offset of the first chunk, after header and nonce, from the beginning of a file; otherwise NotAge."""
    if not prefix.startswith(VERSION_LINE):
        raise NotAge("it does not begin with the line 'age-encryption.org/v1'")
    # A body is base64, without '-': the first line that begins with '-' is the MAC's.
    mac_at = prefix.find(b"\n--- ", len(VERSION_LINE) - 1, HEADER_LIMIT_BYTES) + 1
    end = mac_at + _MAC_LINE_BYTES
    if mac_at == 0 or len(prefix) < end + NONCE_BYTES:
        raise NotAge("it ends within the age header")
    if prefix[end - 1 : end] != b"\n":
        raise NotAge("the MAC line of the age header is not 48 bytes long")
    return end + NONCE_BYTES


def whole_chunks(payload_bytes: int) -> int:
    """The number of full chunks in a payload of that size, counted from `payload_offset`."""
    return payload_bytes // SEALED_CHUNK_BYTES


def kept_bytes(offset: int, file_bytes: int) -> int:
    """The size of a file up to the end of its last whole chunk; `offset` from `payload_offset`."""
    return offset + whole_chunks(file_bytes - offset) * SEALED_CHUNK_BYTES


def plaintext_size(payload_bytes: int) -> int:
    """Bytes of plaintext in a payload of that size, finished or cut at the end of a chunk."""
    rest = payload_bytes % SEALED_CHUNK_BYTES
    return whole_chunks(payload_bytes) * CHUNK_BYTES + max(0, rest - TAG_BYTES)


def _new_header(recipients: Sequence[bytes | str], stanza: bytes = b"") -> tuple[bytes, bytes]:
    """A fresh file key, and the header up to the nonce."""
    if not recipients:
        raise BadInput("an age file needs at least one recipient (age1...)")
    file_key = os.urandom(16)
    stanzas = b"".join(_x25519_stanza(file_key, recipient) for recipient in recipients)
    text = VERSION_LINE + stanzas + stanza + b"---"
    mac = hmac.digest(_hkdf(file_key, b"", b"header"), text, "sha256")
    return file_key, text + b" " + _b64(mac) + b"\n"


def _x25519_stanza(file_key: bytes, recipient: bytes | str) -> bytes:
    public = decode_recipient(recipient) if isinstance(recipient, str) else recipient
    if len(public) != KEY_BYTES:
        raise BadInput(f"an X25519 recipient has {KEY_BYTES} bytes, this one has {len(public)}")
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # an all-zero secret: the recipient is a point of low order, and everybody could read the file
        raise BadInput("the age recipient is a point of low order: no one holds its private key") from None
    body = ChaCha20Poly1305(_hkdf(shared, share + public, X25519_LABEL)).encrypt(bytes(12), file_key, None)
    return b"-> X25519 " + _b64(share) + b"\n" + _b64(body) + b"\n"


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=_SHA256, length=32, salt=salt, info=info).derive(secret)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")
