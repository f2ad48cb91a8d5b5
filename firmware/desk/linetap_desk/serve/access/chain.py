# SPDX-License-Identifier: Apache-2.0
"""The access log's hash chain, and its verification from the beginning, or from the anchor of pruned rows, to the head.

    hash = SHA-256("linetap access row", LF, hash of the row before, JSON array of the other columns in FIELDS' order)

The first row ever is chained to NOTHING, 64 zeros. The head names the last row and is signed. Who can write the table
and does not have the key cannot change, drop or reorder a row undetected; an older head, kept elsewhere, shows rows
that were cut off at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey, SigningKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk import foreign
from linetap_desk.serve.tables import access, access_anchor, access_head

NOTHING = "0" * 64
FIELDS = ("seq", "at", "person", "address", "act", "outcome", "calls", "terms", "purpose", "case_number", "remark")
_PREFIX = b"linetap access row\n"


class ChainFault(Refusal):
    """The log was changed, or its signature is not the expected one."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} [{code}]")
        self.code = code


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Number and hash of the last row. `kind`: head, or anchor of pruned rows."""

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
    """As `read`, signed by `key`: continuing another's head would make its rows ours."""
    head, signer = read(text, sig, kind)
    if keys.public_blob(signer) != keys.public_blob(key):
        raise ChainFault(
            "access_head_foreign", f"the {kind} is signed by {keys.fingerprint(signer)}, which is not serve.log_key"
        )
    return head


def read(text: str, sig: str, kind: str) -> tuple[Head, PublicKey]:
    """The head and the key that signed it, whosever it is. ChainFault for a bad signature or another kind."""
    try:
        public = sshsig.check(text.encode(), sig.encode("ascii", "replace"), namespaces.ACCESS_TABLE)
        head = foreign.decode(text, Head)
    except (Refusal, BadInput) as error:
        raise ChainFault("access_head_bad", f"the {kind}: {error}") from None
    if head.kind != kind:
        raise ChainFault("access_head_bad", f"the {kind} is of kind {head.kind!r}")
    return head, public


_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    rows: int
    head: Head
    key: PublicKey
    anchor: Head | None


def verify(db: Connection, kept: Sequence[Head] = ()) -> Verdict:
    """ChainFault says which row is changed, missing or out of place. `kept`: heads kept elsewhere."""
    found = db.execute(select(access_head)).one_or_none()
    if found is None:
        raise ChainFault("access_head_bad", "the access log has no head")
    head, key = read(found.head, found.sig, "head")
    anchor = _anchor(db, key)
    seq, before = (anchor.seq, anchor.hash) if anchor else (0, NOTHING)
    wanted, rows = {one.seq: one for one in kept if one.seq > seq}, 0
    all_rows = select(access).order_by(access.c.seq).execution_options(yield_per=_AT_ONCE)
    with db.execute(all_rows) as result:
        for row in result.mappings():
            if row["seq"] != seq + 1:
                raise ChainFault("access_row_missing", f"row {seq + 1} of the access log is missing")
            if hash_of(dict(row), before) != row["hash"]:
                raise ChainFault("access_row_changed", f"row {row['seq']} is not what it was, or not in its place")
            seq, before, rows = row["seq"], row["hash"], rows + 1
            if (one := wanted.pop(seq, None)) is not None and one.hash != before:
                raise ChainFault("access_log_rewritten", f"the first {seq} rows are not those of the head of {one.at}")
    if seq == head.seq and before != head.hash:
        raise ChainFault("access_log_rewritten", f"the head is not that of these {seq} rows")
    if seq != head.seq:
        raise ChainFault("access_log_shortened", f"the access log ends with row {seq}, its head with {head.seq}")
    if wanted:
        one = max(wanted.values(), key=lambda head: head.seq)
        raise ChainFault("access_log_shortened", f"the access log had {one.seq} rows on {one.at} and has {head.seq}")
    return Verdict(rows, head, key, anchor)


def _anchor(db: Connection, key: PublicKey) -> Head | None:
    found = db.execute(select(access_anchor)).one_or_none()
    if found is None:
        return None
    anchor, signer = read(found.head, found.sig, "anchor")
    if keys.public_blob(signer) != keys.public_blob(key):
        raise ChainFault("access_head_bad", "anchor and head are signed by different keys")
    return anchor
