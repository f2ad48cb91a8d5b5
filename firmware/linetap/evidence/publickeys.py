# SPDX-License-Identifier: Apache-2.0
"""Public keys as text: `age1...`, and the `ssh-ed25519` line of a .pub file.

Without `cryptography`, whose import costs 7 MB: every service reads the configuration, which names keys, and two of the
four use none.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from linetap.errors import BadInput
from linetap.evidence import bech32

RECIPIENT_PREFIX = "age"
SECRET_PREFIX = "age-secret-key-"
KEY_BYTES = 32
SSH_ED25519 = b"ssh-ed25519"


def ssh_string(data: bytes) -> bytes:
    """As SSH writes one (RFC 4251 section 5)."""
    return len(data).to_bytes(4, "big") + data


_SSH_HEAD = ssh_string(SSH_ED25519) + KEY_BYTES.to_bytes(4, "big")


def encode_recipient(public: bytes) -> str:
    """`age1...` of 32 bytes."""
    return bech32.encode(RECIPIENT_PREFIX, public)


@lru_cache(maxsize=256)  # public keys alone: what is none raises, and is not kept
def decode_recipient(text: str) -> bytes:
    """The 32 bytes of `age1...`; BadInput says what is wrong with the text."""
    if text.upper().startswith(SECRET_PREFIX.upper()):
        raise BadInput("this is a private age identity (AGE-SECRET-KEY-1...): a recipient age1... belongs here")
    if text.startswith(RECIPIENT_PREFIX.upper()):
        raise BadInput(f"not an age recipient: {text!r} should be in lower case")
    return decode(text, RECIPIENT_PREFIX, f"not an age recipient: {text!r}: ", "age1...")


def decode(text: str, prefix: str, complaint: str, wanted: str) -> bytes:
    """The 32 bytes of a bech32 text of that prefix; BadInput begins with `complaint`."""
    try:
        found, data = bech32.decode(text)
    except bech32.Bech32Error as error:
        raise BadInput(f"{complaint}{error}; {wanted} would be right") from None
    if found != prefix:
        raise BadInput(f"{complaint}{wanted} would be right")
    if len(data) != KEY_BYTES:
        raise BadInput(f"{complaint}it holds {len(data)} bytes, {KEY_BYTES} would be right")
    return data


def ssh_ed25519(line: str) -> bytes | None:
    """The 32 bytes of `ssh-ed25519 AAAA... comment` (RFC 8709 section 4); None if it is none."""
    words = line.split(maxsplit=2)
    if len(words) < 2 or words[0] != SSH_ED25519.decode():
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    return blob[len(_SSH_HEAD) :] if blob.startswith(_SSH_HEAD) and len(blob) == len(_SSH_HEAD) + KEY_BYTES else None


def authority(line: str) -> bytes:
    """The same of who signs the key list; BadInput if it is none."""
    if (public := ssh_ed25519(line)) is None:
        raise BadInput("not an authority's public key: the line of its .pub file, ssh-ed25519 AAAA..., would be right")
    return public
