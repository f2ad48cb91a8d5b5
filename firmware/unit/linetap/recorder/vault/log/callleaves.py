# SPDX-License-Identifier: Apache-2.0
"""The leaves of a sealed call: its end, its missing parts, and its close."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import Kind
from linetap_core.evidence.witness import tlogproof
from linetap_core.records import CallRecord

VAULT_REFUSES = ("disk_full", "disk_error")  # the vault's reasons for not recording a call

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
