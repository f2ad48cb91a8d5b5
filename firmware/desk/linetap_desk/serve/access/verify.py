# SPDX-License-Identifier: Apache-2.0
"""Whether the access log is whole: from its beginning, or the anchor of what has gone, to its head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from linetap_core.evidence import keys
from linetap_core.evidence.keys import PublicKey
from linetap_desk.serve.access import chain
from linetap_desk.serve.access.chain import ChainFault, Head
from linetap_desk.serve.tables import access, access_anchor, access_head

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    rows: int
    head: Head
    key: PublicKey
    anchor: Head | None


def verify(db: Connection, kept: Sequence[Head] = ()) -> Verdict:
    """ChainFault says which row is changed, missing or out of place. `kept`: heads that others kept."""
    found = db.execute(select(access_head)).one_or_none()
    if found is None:
        raise ChainFault("access_head_bad", "the access log has no head")
    head, key = chain.read(found.head, found.sig, "head")
    anchor = _anchor(db, key)
    seq, before = (anchor.seq, anchor.hash) if anchor else (0, chain.NOTHING)
    wanted, rows = {one.seq: one for one in kept if one.seq > seq}, 0
    all_rows = select(access).order_by(access.c.seq).execution_options(yield_per=_AT_ONCE)
    with db.execute(all_rows) as result:
        for row in result.mappings():
            if row["seq"] != seq + 1:
                raise ChainFault("access_row_missing", f"row {seq + 1} of the access log is missing")
            if chain.hash_of(dict(row), before) != row["hash"]:
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
    anchor, signer = chain.read(found.head, found.sig, "anchor")
    if keys.public_blob(signer) != keys.public_blob(key):
        raise ChainFault("access_head_bad", "anchor and head are signed by different keys")
    return anchor
