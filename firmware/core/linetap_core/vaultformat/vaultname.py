# SPDX-License-Identifier: Apache-2.0
"""The name of a vault. A new disk with the old key is a new vault; the name distinguishes the two.

`vault.json` is written when the vault is made, and again when the desk has named the previous vault. The name
determines the first number of the vault's events, so that (unit, origin, seq) stays unique even if a unit loses its
disk and its count. The first vault of a key begins with 1, like vaults of earlier versions, which have no name.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.errors import Refusal
from linetap_core.evidence.signing import namespaces, sshsig

FILE = "vault.json"
LIMIT_BYTES = 2048
NAME = re.compile(r"[0-9a-f]{16}", re.ASCII)
EVENTS_BITS = 32  # low bits of a number: the vault's count; the others, at most 20: the vault's number
MOST_SKIPPED = 1 << 31  # events that the desk's claim may skip: as many remain, for a century
_BASE_DIGITS = 5

Name = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]


class VaultDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name document. `number`: 1 for the key's first vault; 0, and `before` empty, while only the desk knows."""

    unit: str
    origin: str
    vault: Name
    made_at: str
    number: Annotated[int, Meta(ge=0, lt=1 << 31)] = 0
    before: str = ""


class BadVault(Refusal):
    code = "bad_vault"


def new_name(first: bool = False) -> str:
    """A random name with its own range of numbers. `first`: this key had no vault before."""
    while True:
        name = secrets.token_hex(8)
        if first:
            return "0" * _BASE_DIGITS + name[_BASE_DIGITS:]
        if int(name[:_BASE_DIGITS], 16):
            return name


def first_seq(name: str) -> int:
    """The number of a vault's first event."""
    return ((int(name[:_BASE_DIGITS], 16) << EVENTS_BITS) if name else 0) + 1


def is_of(name: str, seq: int) -> bool:
    """Whether an event of a vault with that name may have this number."""
    return first_seq(name) <= seq < first_seq(name) + (1 << EVENTS_BITS) - 1


def may_be_skipped(name: str, seq: int) -> bool:
    """Whether the desk may declare the numbers up to this one as used: enough must remain for the vault."""
    return is_of(name, seq) and seq - first_seq(name) < MOST_SKIPPED


def range_of(seq: int) -> int:
    """The number before the first of the range that contains `seq`."""
    return max(0, seq - 1) >> EVENTS_BITS << EVENTS_BITS


def encode(document: VaultDocument) -> bytes:
    """The bytes to sign."""
    return msgspec.json.encode(document)


def decode(data: bytes) -> VaultDocument:
    """The document in `data`; BadVault unless it is the exact output of `encode`."""
    try:
        found = jsontext.decode(data[: LIMIT_BYTES + 1], type=VaultDocument)
    except ValueError as error:
        raise BadVault(f"not the document of a vault: {error}") from None
    if len(data) > LIMIT_BYTES or encode(found) != data:
        raise BadVault("not the document of a vault as a unit writes it")
    return found


def check(data: bytes, armored: bytes) -> VaultDocument:
    """The document if its signature is valid, otherwise a Refusal; the caller decides whether the key counts."""
    sshsig.check(data, armored, namespaces.HEAD)
    return decode(data)
