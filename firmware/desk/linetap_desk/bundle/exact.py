# SPDX-License-Identifier: Apache-2.0
"""Members whose readers take more spellings than one: here each has one, so that no byte of them can hide anything."""

from __future__ import annotations

import re

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from linetap_core.errors import BadInput
from linetap_core.evidence.witness import quorum
from linetap_core.evidence.witness.quorum import Policy
from linetap_desk.bundle.container import BadBundle

_LOG = re.compile(rb"log [0-9a-f]{64}\n")
_SEQUENCE = 0x30
_LONG = 0x80  # the length's own length follows


def certificates(data: bytes, name: str) -> bytes:
    """PEM as `openssl x509` spells it, without what stood between; BadBundle if there is no certificate."""
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise BadBundle("member_unreadable", f"{name}: no certificate in PEM") from None
    return b"".join(each.public_bytes(Encoding.PEM) for each in found)


def require_certificates(data: bytes, name: str) -> None:
    if certificates(data, name) != data:
        raise BadBundle("not_exact", f"{name}: holds more than certificates")


def require_der(data: bytes, name: str) -> None:
    """One value and nothing behind it: `openssl ts` does not look there."""
    head = data[:1] == bytes([_SEQUENCE]) and len(data) > 1
    width = data[1] - _LONG if head and data[1] >= _LONG else 0
    length = int.from_bytes(data[2 : 2 + width], "big") if width else data[1] if head else -1
    if len(data) != 2 + width + length:
        raise BadBundle("not_exact", f"{name}: not one DER value, or something stands behind it")


def require_policy(data: bytes, name: str) -> None:
    log, end, rest = data.partition(b"\n")
    if _LOG.fullmatch(log + end) is None:
        raise BadBundle("not_exact", f"{name}: not a policy as `linetap sigsum` writes it")
    policy(rest, name)


def policy(data: bytes, name: str) -> Policy:
    """That of the witnesses, spelled as `Policy.lines` spells it."""
    try:
        found = quorum.parse(data)
    except BadInput as error:
        raise BadBundle("member_unreadable", f"{name}: {error}") from None
    if "".join(f"{line}\n" for line in found.lines()).encode("ascii") != data:
        raise BadBundle("not_exact", f"{name}: not spelled as a bundle's")
    return found


def require_layout(data: bytes, name: str) -> None:
    """call.json as `linetap open` lays it out."""
    try:
        same = msgspec.json.format(data, indent=2) + b"\n" == data
    except msgspec.MsgspecError:
        same = False
    if not same:
        raise BadBundle("not_exact", f"{name}: not laid out as `linetap open` writes it")
