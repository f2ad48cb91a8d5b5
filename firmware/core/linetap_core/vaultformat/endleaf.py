# SPDX-License-Identifier: Apache-2.0
"""The leaf of a call that was ended, `end`: what its record says of the end, which the log keeps when the record is
destroyed. Pure. Nothing personal: who the caller was, and who ended the call, is in neither."""

from __future__ import annotations

from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.records import PublicRecord

FIELDS = ("situation", "by", "code_at", "released_at", "seen_by", "ended_at", "ended_by")


def fields_of(record: PublicRecord) -> dict[str, str | None] | None:
    """None: the unit did not end this call."""
    end = record.end
    if not end:
        return None
    return {
        "situation": end.situation,
        "by": end.by,
        "code_at": end.code_at,
        "released_at": end.released_at,
        "seen_by": end.seen_by,
        "ended_at": record.ended_at,
        "ended_by": record.ended_by,
    }


def fields_in(leaf: Leaf) -> dict[str, str | None]:
    """The same of a leaf."""
    return {name: getattr(leaf, name) for name in FIELDS}
