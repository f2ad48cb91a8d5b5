# SPDX-License-Identifier: Apache-2.0
"""Reads a call's files at the desk: its record in the second copy, and the hold that a vault officer signed.

A record contains no telephone number (sealed.public_json). It is used only if its hash is the one in the unit's signed
event. The ingest verified its signature before storing the copy, and `linetap verify` proves it to others.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from linetap_core.clock import LATEST_NS, parse_rfc3339
from linetap_core.durable.unreadable import is_missing
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import hold, sealed
from linetap_core.records import CallRecord
from linetap_desk.config.desk import DeskConfig
from linetap_desk.proofs import callfolder

_MOST_KNOWN = 50_000  # documents of holds
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


def read_hold(desk: DeskConfig, unit: str, call_id: str) -> hold.Hold | None:
    """The call's hold stored at the desk, of several the one that ends last. The unit verifies its signature, and
    reports the result."""
    if desk.copy is None or desk.copy.holds is None or not is_call_id(call_id):
        return None
    found = []
    for path in _holds_of(Path(desk.copy.holds), call_id):
        with contextlib.suppress(OSError, Refusal, ValueError):
            one = hold.decode(callfolder.read(path, hold.LIMIT_BYTES))
            if isinstance(one, hold.Hold) and (one.unit, one.call_id) == (unit, call_id):
                found.append((parse_rfc3339(one.until), one))
    return max(found, key=lambda each: each[0])[1] if found else None


@dataclass(frozen=True, slots=True)
class DeskHolds:
    """The holds in the desk's folder. `until_ns`: of each call the latest end; `paths`: its documents. `unread`: why a
    document cannot be read that may hold any call; empty if all can."""

    until_ns: Mapping[str, int] = field(default_factory=dict)
    paths: Mapping[str, list[Path]] = field(default_factory=dict)
    unread: str = ""

    def holds(self, call_id: str, now_ns: int) -> bool:
        return bool(self.unread) or self.until_ns.get(call_id, 0) > now_ns


def _holds_of(folder: Path, call_id: str) -> Iterator[Path]:
    """The holds of a call. Each document is read once: a page would otherwise read all of them for one call."""
    with contextlib.suppress(OSError):
        for name in ["", *sorted(os.listdir(folder))]:
            path = folder / name / hold.HOLD
            with contextlib.suppress(OSError, Refusal):
                info = path.stat()
                if _named_call(path, (info.st_dev, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)) == call_id:
                    yield path


@functools.lru_cache(maxsize=_MOST_KNOWN)
def _named_call(path: Path, _stamp: tuple[int, ...]) -> str:
    """The call that a document of a hold names; a failed reading is repeated the next time."""
    return hold.decode(callfolder.read(path, hold.LIMIT_BYTES)).call_id


def read_holds(folder: Path) -> DeskHolds:
    """All holds of the desk, whatever their folders are named: a person names one after the call, the pages after the
    hold. No signature is checked, since keeping a copy does no harm. One that cannot be read holds its call, or any,
    until somebody has looked."""
    until_ns, paths, unread = dict[str, int](), dict[str, list[Path]](), ""
    try:
        names = ["", *sorted(os.listdir(folder))]
    except OSError as error:
        return DeskHolds(unread=f"{folder}: {error.strerror}")
    for name in names:
        path = folder / name / hold.HOLD
        try:
            if is_missing(path):
                continue
            found = hold.decode(callfolder.read(path, hold.LIMIT_BYTES))
            if not isinstance(found, hold.Hold):
                raise BadInput("not a hold")
            call_id, ends_ns = found.call_id, parse_rfc3339(found.until)
        except (OSError, Refusal, ValueError) as error:
            if not is_call_id(name):
                unread = unread or f"{path}: {error}"
                continue
            call_id, ends_ns = name, LATEST_NS
        until_ns[call_id] = max(ends_ns, until_ns.get(call_id, 0))
        paths.setdefault(call_id, []).append(path)
    return DeskHolds(until_ns, paths, unread)


def command(desk: DeskConfig, unit: str, call_id: str, copied: bool) -> str:
    """The command that verifies the call without a secret: on the copy, otherwise in its unit's vault. Empty for an
    invalid call id."""
    if not is_call_id(call_id):
        return ""
    folder = (folder_of(desk, unit, call_id) if copied else None) or f"VAULT/{sealed.call_path(call_id)}"
    return f"linetap verify {shlex.quote(str(folder))} --signers allowed_signers"


def folder_of(desk: DeskConfig, unit: str, call_id: str) -> Path | None:
    if desk.copy is None or not is_call_id(call_id):
        return None
    parts = urlsplit(desk.copy.store)
    return Path(unquote(parts.path)) / unit / sealed.call_path(call_id) if parts.scheme == "file" else None


def is_call_id(call_id: str) -> bool:
    """Whether it is a valid call id: a compromised unit can sign any text."""
    try:
        sealed.call_time(call_id)
    except BadInput:
        return False
    return True
