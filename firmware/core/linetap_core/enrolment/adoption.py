# SPDX-License-Identifier: Apache-2.0
"""Authenticates a new unit and a desk to each other without a common key: people compare six digits (and a check digit,
checkdigit.py).

The exchange is that of ZRTP (RFC 6189, 4.3 and 4.4) and of Bluetooth's numeric comparison: Diffie-Hellman, with a
commitment of one side before it receives the other's part, and a short authentication string over both.

    unit -> desk its description, and its commitment = SHA-256 of its opening
                   ... the unit repeats this until a person at the desk chooses it ...
    desk -> unit   the desk's answer: key, nonce, its name
    unit -> desk   the unit's opening: key, nonce
    both           six digits, and two keys, of all three

An attacker in the middle holds two exchanges and must commit in both before receiving either nonce: the digits of both
are equal once in a million attempts. The number of attempts is limited: each answer of a desk takes a person's action
there, and a unit shows each number for a long time. After the comparison all messages are boxes (ChaCha20-Poly1305)
under the two keys, numbered against replay. The TLS connection below is only transport and authenticates neither side.

Pure: no I/O; the caller supplies randomness.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.errors import ShownRefusal
from linetap_core.evidence import digest

VERSION = 1
DIGITS = 6
KEY_BYTES = NONCE_BYTES = 32
MOST_MESSAGE_BYTES = 2 << 20  # an order of 1 MiB, in base64
MOST_COUNT = 1 << 32
_LABEL = b"linetap-adoption-1 "
_BLOCK_BYTES = 1024  # messages are padded to a multiple: the length must not reveal whether the button was pressed
_Bytes32 = Annotated[str, Meta(pattern=rf"^{digest.HEX}\Z")]
_Word = Annotated[str, Meta(max_length=64, pattern=r"^[ -~]*\Z")]


class AdoptionFault(ShownRefusal):
    """The other side's digits were not the compared ones, or it breaks the protocol."""


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The unit's key and nonce."""

    key: _Bytes32  # X25519
    nonce: _Bytes32


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The unit's first message. Its statements about itself help a person to find it; only the digits are proof."""

    commitment: _Bytes32
    version: Annotated[int, Meta(ge=1, le=1000)] = VERSION
    serial: _Word = ""  # of the Pi
    mac: _Word = ""
    firmware: _Word = ""


class Waits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No desk has chosen the unit yet. `run`: the name of this exchange in the unit's further messages."""

    run: _Bytes32


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The desk's key, nonce and name."""

    run: _Bytes32
    key: _Bytes32
    nonce: _Bytes32
    name: Annotated[str, Meta(max_length=64)] = ""


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The desk's answer, or None until a person at the desk has chosen this unit."""

    answer: Answer | None = None


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sealed message. `count` increases with every box of a side; an answer has the count of its question."""

    count: Annotated[int, Meta(ge=1, lt=MOST_COUNT)]
    box: Annotated[str, Meta(max_length=MOST_MESSAGE_BYTES)]


State = Literal["compare", "order", "certificate", "done", "ended"]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The unit's message of every few seconds. `pressed`: a person at the unit confirms the digits."""

    pressed: bool = False
    has_order: bool = False
    has_certificate: bool = False
    request: Annotated[str, Meta(max_length=16 * 1024)] | None = None  # for a certificate (request.py)
    fault: Annotated[str, Meta(max_length=2000)] | None = None  # why the unit rejects the order


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The desk's answer. `state`: the desk's next step; order, signature and certificate come with their states."""

    state: State
    order: str | None = None
    signature: str | None = None
    certificate: str | None = None


def commitment(opening: Opening) -> str:
    return hashlib.sha256(_LABEL + b"commitment\n" + msgspec.json.encode(opening)).hexdigest()


def require_opened(committed: str, opening: Opening) -> None:
    """Raises AdoptionFault unless the opening matches the unit's commitment."""
    if not hmac.compare_digest(committed, commitment(opening)):
        raise AdoptionFault("adoption_commitment", "the opening is not the one that was committed to")


@dataclass(slots=True)
class Channel:
    """One exchange after its opening. `digits` are for people; `unit_key` and `desk_key` seal each side's boxes."""

    digits: str
    run: str
    unit_key: bytes = field(repr=False)
    desk_key: bytes = field(repr=False)

    def close(self, side: Literal["unit", "desk"], count: int, message: Question | Reply) -> Box:
        cipher = ChaCha20Poly1305(self.unit_key if side == "unit" else self.desk_key)
        clear = msgspec.json.encode(message)
        clear += b" " * (-len(clear) % _BLOCK_BYTES)
        data = cipher.encrypt(_nonce(count), clear, _LABEL + self.run.encode())
        return Box(count=count, box=b64encode(data).decode())

    def open[M: (Question, Reply)](self, side: Literal["unit", "desk"], box: Box, kind: type[M]) -> M:
        """Opens a box of the sender `side`. AdoptionFault if another party sealed it."""
        cipher = ChaCha20Poly1305(self.unit_key if side == "unit" else self.desk_key)
        try:
            data = cipher.decrypt(_nonce(box.count), b64decode(box.box, validate=True), _LABEL + self.run.encode())
            return jsontext.decode(data, type=kind)
        except (InvalidTag, ValueError) as error:
            why = "it was closed with another key" if isinstance(error, InvalidTag) else str(error)
            raise AdoptionFault("adoption_box", f"a message of this exchange cannot be read: {why}") from None


def closed(made: Channel) -> Channel:
    """The channel after its close: the desk keeps only the key of its own answers, which opens no recorded box."""
    key = hashlib.sha256(_LABEL + b"closed\n" + made.desk_key).digest()
    return Channel("", made.run, b"", key)


def channel(own: X25519PrivateKey, begin: Begin, answer: Answer, opening: Opening, other: str) -> Channel:
    """The channel, equal on both sides and different with any third party. `other`: the other side's public key.
    AdoptionFault for a key that makes the shared secret predictable.
    """
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(other)))
    except ValueError:
        raise AdoptionFault("adoption_key", "the other side's key is none") from None
    whole = hashlib.sha256(_LABEL + b"transcript\n")
    for part in map(msgspec.json.encode, (begin, answer, opening)):
        whole.update(len(part).to_bytes(8, "big") + part)
    made = HKDF(SHA256(), 2 * KEY_BYTES + 8, whole.digest(), _LABEL + b"digits and keys").derive(shared)
    number = int.from_bytes(made[2 * KEY_BYTES :], "big") % 10**DIGITS
    return Channel(f"{number:0{DIGITS}}", answer.run, made[:KEY_BYTES], made[KEY_BYTES : 2 * KEY_BYTES])


def public_of(key: X25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _nonce(count: int) -> bytes:
    return count.to_bytes(12, "big")
