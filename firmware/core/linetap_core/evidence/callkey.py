# SPDX-License-Identifier: Apache-2.0
"""A call's own key, whose private half is sealed as soon as it is made and then gone from memory.

Python's strings and bytes cannot be wiped: freed, they stay legible until something else is written there. So the
private half stands in buffers of its own, in OpenSSL's, which it wipes itself, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap_core.evidence import bech32, group, members
from linetap_core.evidence.ofcall import OfCall
from linetap_core.evidence.publickeys import KEY_BYTES, SECRET_PREFIX, encode_recipient

_RANDOM = Path("/dev/urandom")  # unlike os.urandom it fills a buffer that is there already


def new_sealed_key(custodians: Sequence[str], call: OfCall) -> tuple[str, bytes]:
    """The public half (`age1...`), and the private one as an identity file, sealed to the custodians as that of `call`.

    `custodians`: recipients, any of whom opens it, or a single group (members.py).
    """
    who = members.of(custodians)
    raw = bytearray(KEY_BYTES)
    try:
        with _RANDOM.open("rb", buffering=0) as random:
            if random.readinto(raw) != KEY_BYTES:
                raise OSError(f"{_RANDOM} gave less than {KEY_BYTES} bytes")
        recipient = encode_recipient(X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw())
        text = bech32.encode_secret_line(SECRET_PREFIX, raw)
    finally:
        _wipe(raw)
    try:
        return recipient, group.seal(text, who, call.stanza())
    finally:
        _wipe(text)


def _wipe(buffer: bytearray) -> None:
    buffer[:] = bytes(len(buffer))
