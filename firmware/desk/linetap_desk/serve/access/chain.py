# SPDX-License-Identifier: Apache-2.0
"""The hash of a row covers the one before it; the head names the last and is signed. Pure functions over rows.

    hash = SHA-256("linetap access row", LF, hash of the row before, JSON array of the other columns in FIELDS' order)

The first row ever is chained to the hash of nothing, 64 zeros. Who can write the table and does not have the key cannot
change, drop or reorder a row without the head telling it; who keeps an older head finds what was cut off at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import keys, namespaces, sshsig
from linetap_core.evidence.keys import PublicKey, SigningKey
from linetap_desk import foreign

NOTHING = "0" * 64
FIELDS = ("seq", "at", "person", "address", "act", "outcome", "calls", "terms", "purpose", "case_number", "remark")
_PREFIX = b"linetap access row\n"


class ChainFault(Refusal):
    """The log is not what it was."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} [{code}]")
        self.code = code


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far it goes: the last row's number and hash. `kind`: head, or anchor of what has gone."""

    kind: str
    seq: int
    hash: str
    at: str


def hash_of(row: Mapping[str, Any], before: str) -> str:
    data = msgspec.json.encode([row[name] for name in FIELDS])
    return hashlib.sha256(_PREFIX + before.encode("ascii", "replace") + data).hexdigest()


def signed(head: Head, key: SigningKey) -> dict[str, str]:
    text = msgspec.json.encode(head).decode()
    return {"head": text, "sig": sshsig.sign(text.encode(), key, namespaces.ACCESS_TABLE)}


def own(text: str, sig: str, kind: str, key: PublicKey) -> Head:
    """As `read`, of what this very key has signed: to go on from another's would make its rows ours."""
    head, signer = read(text, sig, kind)
    if keys.public_blob(signer) != keys.public_blob(key):
        raise ChainFault(
            "access_head_foreign", f"the {kind} is signed by {keys.fingerprint(signer)}, which is not serve.log_key"
        )
    return head


def read(text: str, sig: str, kind: str) -> tuple[Head, PublicKey]:
    """ChainFault where it was not signed so. Whose key it is, is not asked here."""
    try:
        public = sshsig.check(text.encode(), sig.encode("ascii", "replace"), namespaces.ACCESS_TABLE)
        head = foreign.decode(text, Head)
    except (Refusal, BadInput) as error:
        raise ChainFault("access_head_bad", f"the {kind}: {error}") from None
    if head.kind != kind:
        raise ChainFault("access_head_bad", f"the {kind} is of kind {head.kind!r}")
    return head, public
