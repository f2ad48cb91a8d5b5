# SPDX-License-Identifier: Apache-2.0
"""Reads a call's files at the desk: its record in the second copy, and the hold that a vault officer signed.

A record contains no telephone number (sealed.public_json). It is used only if its hash is the one in the unit's signed
event. The ingest verified its signature before storing the copy, and `linetap verify` proves it to others.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import hold, sealed
from linetap_core.records import CallRecord
from linetap_desk.config.desk import DeskConfig
from linetap_desk.proofs import callfolder

Why = Literal["", "no_store", "elsewhere", "no_copy", "unreadable", "changed", "no_call_id"]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """The record in the second copy. `why`: the reason for a missing record; empty if there is one."""

    record: CallRecord | None
    why: Why = ""


def read_record(desk: DeskConfig, unit: str, call_id: str, sha256: str | None) -> StoredRecord:
    if desk.copy is None:
        return StoredRecord(None, "no_store")
    folder = folder_of(desk, unit, call_id)
    if folder is None:
        return StoredRecord(None, "elsewhere" if urlsplit(desk.copy.store).scheme != "file" else "no_call_id")
    path = folder / sealed.RECORD
    try:
        if not path.exists():
            return StoredRecord(None, "no_copy")
        data = callfolder.read(path, sealed.RECORD_LIMIT_BYTES)
        if hashlib.sha256(data).hexdigest() != sha256:
            return StoredRecord(None, "changed")
        return StoredRecord(sealed.decode_record(data))
    except (OSError, Refusal, ValueError):
        return StoredRecord(None, "unreadable")


def read_hold(desk: DeskConfig, call_id: str) -> hold.Hold | None:
    """The hold stored at the desk. The unit verifies its signature, and reports the result."""
    if desk.copy is None or desk.copy.holds is None or not _is_call_id(call_id):
        return None
    try:
        found = hold.decode(callfolder.read(Path(desk.copy.holds) / call_id / hold.HOLD, hold.LIMIT_BYTES))
    except (OSError, Refusal, ValueError):
        return None
    return found if isinstance(found, hold.Hold) else None


def command(desk: DeskConfig, unit: str, call_id: str, copied: bool) -> str:
    """The command that verifies the call without a secret: on the copy, otherwise in its unit's vault. Empty for an
    invalid call id."""
    if not _is_call_id(call_id):
        return ""
    folder = (folder_of(desk, unit, call_id) if copied else None) or f"VAULT/{sealed.call_path(call_id)}"
    return f"linetap verify {shlex.quote(str(folder))} --signers allowed_signers"


def folder_of(desk: DeskConfig, unit: str, call_id: str) -> Path | None:
    if desk.copy is None or not _is_call_id(call_id):
        return None
    parts = urlsplit(desk.copy.store)
    return Path(unquote(parts.path)) / unit / sealed.call_path(call_id) if parts.scheme == "file" else None


def _is_call_id(call_id: str) -> bool:
    try:
        sealed.call_time(call_id)
    except BadInput:
        return False
    return True
