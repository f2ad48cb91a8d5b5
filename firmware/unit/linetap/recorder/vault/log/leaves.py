# SPDX-License-Identifier: Apache-2.0
"""Leaves of the log: those of a sealed call, and the identity by which a leaf is appended once. A leaf about a call is
identified by the call, any other by its time.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core import jsontext
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import Kind, Leaf
from linetap_core.evidence.witness import tlogproof
from linetap_core.records import CallRecord

VAULT_REFUSES = ("disk_full", "disk_error")  # the vault's reasons for not recording a call

ONCE_A_CALL = ("open", "end", "close", "gap", "notice_failure", "refused", "copy", "destruction")
_CALL_ID = re.compile(sealed.CALL_ID.pattern.encode("ascii"))

Identity = tuple[str, str]
Fields = Mapping[str, str | int | float | list[str] | None]


def leaves_of(call_id: str, record: CallRecord, data: bytes, key: SigningKey) -> list[tuple[Kind, Fields]]:
    """Returns the kinds and fields of the leaves. `data`: the record as signed; `key`: the unit's key."""
    of_call: Fields = {"call_id": call_id, "line": record.line}
    found: list[tuple[Kind, Fields]] = []
    if (end := unitlog.fields_of(record)) is not None:
        found.append(("end", {**of_call, **end}))
    if record.audio and record.audio.gaps:
        gaps = record.audio.gaps
        causes = sorted({gap.cause for gap in gaps})
        ms = round(sum(gap.ms for gap in gaps), 3)
        found.append(("gap", {**of_call, "gaps": len(gaps), "ms": ms, "causes": causes}))
    if record.disposition == "discarded" and record.why in VAULT_REFUSES:
        found.append(("refused", {**of_call, "why": record.why}))
    elif _notice_failed(record):
        proof = record.notices[-1].proof if record.notices else "none"
        found.append(("notice_failure", {**of_call, "why": record.why, "proof": proof}))
    digest = hashlib.sha256(data)
    closing: dict[str, str | None] = {"record_sha256": digest.hexdigest(), "disposition": record.disposition}
    if record.retention is not None:  # repeated here: a destruction is judged by this leaf when the record is gone
        closing["until"] = record.retention.until
    if isinstance(key, Ed25519PrivateKey):  # Sigsum accepts no other signatures
        closing["sigsum"] = base64.b64encode(tlogproof.sign_leaf(digest.digest(), key)).decode("ascii")
    found.append(("close", {**of_call, **closing}))
    return found


def _notice_failed(record: CallRecord) -> bool:
    if record.disposition == "discarded":
        return not record.why.startswith("ended_")
    return record.why == "notice_failed" or any(notice.proof == "absent" for notice in record.notices)


def identity_of(leaf: Mapping[str, object]) -> Identity:
    return identity(leaf["kind"], leaf["at"], leaf.get("call_id"), leaf.get("sha256"))


def identity(kind: object, at: object, call_id: object, sha256: object) -> Identity:
    """The identity of a leaf: its call, else the SHA-256 of its subject; for an index segment the SHA-256 alone."""
    of = sha256 if kind == "index" else call_id or sha256
    once = kind in ONCE_A_CALL and of is not None and sealed.CALL_ID.fullmatch(str(of))
    return str(kind), str(of if once else f"{at} {of}")


def decode_leaf(line: bytes) -> Leaf | None:
    """The leaf in a line of the log; None if it is none."""
    try:
        return jsontext.decode(line, type=Leaf)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def kind_and_call(line: bytes, calls: Collection[str]) -> tuple[str, str]:
    """Kind and call of a leaf of these calls, else empty. Others are not decoded, which takes twenty times as long."""
    named = _CALL_ID.search(line)
    leaf = decode_leaf(line) if named is not None and named[0].decode("ascii") in calls else None
    return (leaf.kind, leaf.call_id or "") if leaf is not None and leaf.call_id in calls else ("", "")
