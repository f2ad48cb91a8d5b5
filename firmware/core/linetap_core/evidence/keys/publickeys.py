# SPDX-License-Identifier: Apache-2.0
"""Public keys as text: `age1...`, and the line of an OpenSSH .pub file, Ed25519 or ECDSA P-256.

Does not use `cryptography`, whose import takes 7 MB: every service reads the configuration, which names keys, and two
of the four use none.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import bech32

RECIPIENT_PREFIX = "age"
SECRET_PREFIX = "age-secret-key-"
KEY_BYTES = 32
_PRIME = 2**255 - 19  # Curve25519, RFC 7748; the u of its and its twist's points of order 1, 2, 4 and 8
_LOW_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
MOST_AUTHORITY_KEYS = 8  # most signatures over one text
SSH_ED25519 = b"ssh-ed25519"
SSH_P256 = b"ecdsa-sha2-nistp256"
SIGNING_KEYS = (SSH_ED25519, SSH_P256)  # the kinds whose signatures count
POINT_BYTES = 65  # SEC 1, 2.3.3: 0x04, x, y; OpenSSH reads no compressed point


def ssh_string(data: bytes) -> bytes:
    """A string in SSH's form (RFC 4251 section 5)."""
    return len(data).to_bytes(4, "big") + data


_SSH_HEAD = ssh_string(SSH_ED25519) + KEY_BYTES.to_bytes(4, "big")
_P256_HEAD = ssh_string(SSH_P256) + ssh_string(b"nistp256") + POINT_BYTES.to_bytes(4, "big") + b"\x04"
_SHAPES = {SSH_ED25519: (_SSH_HEAD, KEY_BYTES), SSH_P256: (_P256_HEAD, POINT_BYTES - 1)}


def encode_recipient(public: bytes) -> str:
    """The recipient `age1...` of 32 bytes."""
    return bech32.encode(RECIPIENT_PREFIX, public)


@lru_cache(maxsize=256)  # public keys only: an invalid text raises and is not cached
def decode_recipient(text: str) -> bytes:
    """The 32 bytes of `age1...`; BadInput names the fault."""
    if text.upper().startswith(SECRET_PREFIX.upper()):
        raise BadInput("this is a private age identity (AGE-SECRET-KEY-1...): a recipient age1... belongs here")
    if text.startswith(RECIPIENT_PREFIX.upper()):
        raise BadInput(f"not an age recipient: {text!r} should be in lower case")
    public = decode(text, RECIPIENT_PREFIX, f"not an age recipient: {text!r}: ", "age1...")
    if int.from_bytes(public, "little") % 2**255 % _PRIME in _LOW_ORDER:  # nothing can be sealed to it
        raise BadInput("a point of low order: no one holds its private key")
    return public


def decode(text: str, prefix: str, complaint: str, wanted: str) -> bytes:
    """The 32 bytes of a bech32 text with that prefix; BadInput begins with `complaint`."""
    try:
        found, data = bech32.decode(text)
    except bech32.Bech32Error as error:
        raise BadInput(f"{complaint}{error}; {wanted} expected") from None
    if found != prefix:
        raise BadInput(f"{complaint}{wanted} expected")
    if len(data) != KEY_BYTES:
        raise BadInput(f"{complaint}it holds {len(data)} bytes, {KEY_BYTES} expected")
    return data


def ssh_blob(line: str) -> bytes | None:
    """The key of `TYPE AAAA... comment` in SSH's form; None for a kind outside SIGNING_KEYS.

    RFC 8709 section 4, RFC 5656 section 3.1. Whether a point is on the curve needs `cryptography` (`keys.from_blob`).
    """
    words = line.split(maxsplit=2)
    if len(words) < 2:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    return blob if blob_kind(blob) == words[0].encode() else None


def blob_kind(blob: bytes) -> bytes | None:
    """The kind of these bytes, one of SIGNING_KEYS; None for bytes that are not in SSH's form."""
    for kind, (head, rest) in _SHAPES.items():
        if blob.startswith(head) and len(blob) == len(head) + rest:
            return kind
    return None


def ssh_ed25519(line: str) -> bytes | None:
    """The 32 bytes of `ssh-ed25519 AAAA... comment` (RFC 8709 section 4); None for any other line."""
    blob = ssh_blob(line)
    return blob[len(_SSH_HEAD) :] if blob is not None and blob_kind(blob) == SSH_ED25519 else None


def authority(line: str) -> bytes:
    """The key that signs the key list, in SSH's form; BadInput for any other line."""
    if (blob := ssh_blob(line)) is None:
        raise BadInput("not an authority's public key: the line of its .pub file, ssh-ed25519 AAAA... expected")
    return blob


def require_authority(lines: Sequence[str], needed: int) -> None:
    """Raises BadInput if these lines, of which `needed` sign, cannot form an authority."""
    if not 1 <= len(lines) <= MOST_AUTHORITY_KEYS:
        raise BadInput(f"{len(lines)} keys: 1 to {MOST_AUTHORITY_KEYS} expected")
    seen: set[bytes] = set()
    for place, line in enumerate(lines, 1):
        blob = authority(line)
        if blob in seen:
            raise BadInput(f"key {place} is there twice: each person has a key of their own")
        seen.add(blob)
    if not 1 <= needed <= len(lines):
        raise BadInput(f"{needed} of {len(lines)} sign: 1 to {len(lines)} expected")
