# SPDX-License-Identifier: Apache-2.0
"""The name of a vault. A new disk with the old key is a new vault, and the name distinguishes the two.

`vault.json` is written when the vault is made, and again when the desk has named the previous vault. The name
determines the first number of the vault's events, so that (unit, origin, seq) stays unique even if a unit loses its
disk and with it its count. The first vault of a key begins with 1, as do vaults of earlier versions, which have no
name.
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
EVENTS_BITS = 32  # low bits of a number: the vault's count; the others, at most 20, are the vault's number
MOST_SKIPPED = 1 << 31  # events that the desk's word may pass over: as many are left, for a century
_BASE_DIGITS = 5

Name = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]


class VaultDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`number`: 1 for the first vault of this key; 0 and `before` empty while only the desk can know."""

    unit: str
    origin: str
    vault: Name
    made_at: str
    number: Annotated[int, Meta(ge=0, lt=1 << 31)] = 0
    before: str = ""


class BadVault(Refusal):
    code = "bad_vault"


def new_name(first: bool = False) -> str:
    """A random name, with a range of numbers of its own. `first`: this key has had no vault before."""
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
    """Whether a vault of that name may have an event with this number."""
    return first_seq(name) <= seq < first_seq(name) + (1 << EVENTS_BITS) - 1


def may_be_skipped(name: str, seq: int) -> bool:
    """Whether the numbers up to this one may count as used on the desk's word: it must leave the vault enough
    numbers."""
    return is_of(name, seq) and seq - first_seq(name) < MOST_SKIPPED


def range_of(seq: int) -> int:
    """The number before the first of the range that `seq` lies in."""
    return max(0, seq - 1) >> EVENTS_BITS << EVENTS_BITS


def encode(document: VaultDocument) -> bytes:
    """The exact bytes that are signed."""
    return msgspec.json.encode(document)


def decode(data: bytes) -> VaultDocument:
    """The document; BadVault unless it is in the exact form of `encode`."""
    try:
        found = jsontext.decode(data[: LIMIT_BYTES + 1], type=VaultDocument)
    except ValueError as error:
        raise BadVault(f"not the document of a vault: {error}") from None
    if len(data) > LIMIT_BYTES or encode(found) != data:
        raise BadVault("not the document of a vault as a unit writes it")
    return found


def check(data: bytes, armored: bytes) -> VaultDocument:
    """Returns the document, if its signature is valid; the caller decides whether the key counts. Otherwise a
    Refusal."""
    sshsig.check(data, armored, namespaces.HEAD)
    return decode(data)
