# SPDX-License-Identifier: Apache-2.0
"""Signed notes (C2SP signed-note): a text, an empty line, and a line for each signature.

    example.com/log
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

A note has one spelling here: it is parsed, written again and compared. A signature line names its key by a name and
four bytes, which are looked up among the reader's trusted keys; lines of other keys do not count.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys.publickeys import KEY_BYTES

LIMIT_BYTES = 64 << 10  # sixteen post-quantum signatures, passed on unread
MOST_LINES = 64
ED25519, COSIGNATURE = 0x01, 0x04  # signature types of Ed25519: over the text, and with a time (checkpoint.py)
ID_BYTES = 4
_DASH = "— "
_NAME = re.compile(r"[^\s+]{1,255}")


class BadNote(Refusal):
    """The bytes are no signed note, or have an invalid signature; `code` is the reason."""

    def __init__(self, text: str, code: str = "bad_note") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line: `signature` is the part after the key's four bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def encode(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note; `text` includes its last newline."""

    text: bytes
    lines: tuple[Line, ...]

    def encode(self) -> bytes:
        return self.text + b"\n" + "".join(line.encode() for line in self.lines).encode("utf-8")


@dataclass(frozen=True, slots=True)
class Key:
    """A verifier's key: the content of a `vkey`."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.kind, self.public)

    def vkey(self) -> str:
        body = base64.b64encode(bytes([self.kind]) + self.public).decode("ascii")
        return f"{self.name}+{self.id.hex()}+{body}"


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The four bytes before a signature."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + bytes([kind]) + public).digest()[:ID_BYTES]


def parse_vkey(text: str) -> Key:
    """The Ed25519 key of a vkey in the form of `vkey`; otherwise BadInput."""
    name, _, rest = text.partition("+")
    body = rest.partition("+")[2]
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != 1 + KEY_BYTES or data[0] not in (ED25519, COSIGNATURE) or not is_name(name):
        raise BadInput(f"not a verifier key of Ed25519: {text[:80]!r}; NAME+ID+KEY expected")
    key = Key(name, data[0], data[1:])
    if key.vkey() != text:
        raise BadInput(f"{name}: its verifier key has the id of another; NAME+{key.id.hex()}+KEY expected")
    return key


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and text.isprintable()


def parse(data: bytes) -> Note:
    """The note in `data`; BadNote for data in another form than that of `encode`."""
    if len(data) > LIMIT_BYTES:
        raise BadNote(f"not a signed note: larger than {LIMIT_BYTES} bytes")
    text, gap, signatures = data.rpartition(b"\n\n")
    if not gap or not _is_utf8(text):
        raise BadNote("not a signed note: UTF-8 with an empty line before its signatures expected")
    note = Note(text + b"\n", parse_lines(signatures))
    if not note.lines or note.encode() != data or any(byte < 0x20 and byte != 0x0A for byte in data):
        raise BadNote("not a signed note: text, empty line, then `— NAME SIGNATURE` lines expected")
    return note


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def parse_lines(data: bytes) -> tuple[Line, ...]:
    """Signature lines alone, the form of a witness's answer."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise BadNote("a signed note is UTF-8, and this is not") from None
    if lines.pop() or len(lines) > MOST_LINES:
        raise BadNote(f"signature lines end with a newline each, and are {MOST_LINES} at most")
    return tuple(map(_line, lines))


def _line(text: str) -> Line:
    name, _, body = text.removeprefix(_DASH).partition(" ")
    try:
        raw = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not text.startswith(_DASH) or not is_name(name) or len(raw) <= ID_BYTES:
        raise BadNote(f"not a signature line: {text[:60]!r}; `— NAME SIGNATURE` expected")
    return Line(name, raw[:ID_BYTES], raw[ID_BYTES:])


def sign(text: bytes, name: str, key: Ed25519PrivateKey) -> Line:
    """An Ed25519 signature over the text."""
    return Line(name, key_id(name, ED25519, key.public_key().public_bytes_raw()), key.sign(text))


def is_signed(note: Note, key: Key) -> bool:
    """Whether this key has signed the text; BadNote for a line with an invalid signature."""
    found = False
    for line in note.lines:
        if (line.name, line.key_id) == (key.name, key.id):
            require(key.public, line.signature, note.text, key.name)
            found = True
    return found


def require(public: bytes, signature: bytes, message: bytes, name: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        text = f"the signature of {name} does not fit: note or signature were changed"
        raise BadNote(text, "note_signature") from None
