# SPDX-License-Identifier: Apache-2.0
"""Receives one call into a folder of verified files and an incomplete one, which ends in .part.

The folder's content determines where the transfer continues after any interruption. A .part corrupted by a power cut,
or altered in transit, is detected by its hash and fetched again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from linetap_core.clock import NS_PER_DAY, NS_PER_S, S_PER_DAY, parse_rfc3339
from linetap_core.durable import files
from linetap_core.errors import Refusal
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.records import CallRecord
from linetap_desk.ingest.callrow import bounded_period_ns
from linetap_desk.proofs.callfolder import Damaged

PART = ".part"
SMALL_BYTES = 64 << 10  # key.age and meta.age have a few hundred bytes
_MOST_SAMPLES = (
    S_PER_DAY * 8000
)  # of a call: the record states its size in the store, and only the unit vouches for the record


@dataclass(frozen=True, slots=True)
class Call:
    """A call to fetch. `record_sha256` is from the unit's signed event; all other files are verified by the record."""

    unit: str
    call_id: str
    record_sha256: str


@dataclass(frozen=True, slots=True)
class RetentionTerm:
    """A call's retention: its end by the record, None without one yet; the period of its class, None if unknown."""

    until: str | None = None
    period_s: int | None = None

    @classmethod
    def from_record(cls, record: CallRecord) -> Self:
        """ValueError for an invalid time in the record, which `read_record` refuses."""
        ends = [record.ended_at, record.actual.ended_at if record.actual else None]
        ended_ns = [parse_rfc3339(at) for at in ends if at is not None]
        retention = record.retention
        if retention is None:
            return cls()
        if retention.until is not None:
            from_ns = ended_ns[-1] if ended_ns else sealed.call_ns(record.call_id)
            return cls(retention.until, _period_s(parse_rfc3339(retention.until) - from_ns))
        return cls(None, _period_s(retention.days * NS_PER_DAY) if retention.days else None)


def _period_s(ns: int) -> int:
    return bounded_period_ns(ns) // NS_PER_S


def require_whole(folder: Path, call: Call) -> None:
    """Requires that every file in `folder` is as the record states, and the record as the unit's event states;
    otherwise Damaged. Verified data is read again: a power cut may have lost unsynced data."""
    record = (folder / sealed.RECORD).read_bytes()
    named = {sealed.RECORD: call.record_sha256, **sealed.decode_record(record).files}
    changed = [name for name, digest in named.items() if files.sha256(folder / name) != digest]
    if changed:
        raise Damaged("copy_changed", f"{changed[0]}: its SHA-256 is not the one that the unit has signed")
    sshsig.check(record, (folder / sealed.SIGNATURE).read_bytes(), namespaces.RECORD)


def read_record(data: bytes, call: Call) -> CallRecord:
    """The record. Damaged if it belongs to another call, or names files that a call does not have."""
    try:
        record = sealed.decode_record(data)
    except msgspec.MsgspecError as error:
        raise Damaged("copy_record", f"not a record: {error}") from None
    if (record.unit, record.call_id) != (call.unit, call.call_id):
        raise Damaged("copy_record", "it is of another call")
    strange = [name for name in record.files if not fetch.is_file(name) or name in (sealed.RECORD, sealed.SIGNATURE)]
    if strange:
        raise Damaged("copy_record", f"it names {strange[0]!r}, which no call has")
    try:
        RetentionTerm.from_record(record)
    except (ValueError, ArithmeticError) as error:
        raise Damaged("copy_record", f"its ended_at or until is no time: {str(error)[:80]}") from None
    parts = record.audio.parts if record.audio else []
    if any(part.samples < 0 for part in parts) or sum(part.samples for part in parts) > _MOST_SAMPLES:
        raise Damaged("copy_record", "it names more audio than a day has, which no call lasts")
    return record


class Incoming:
    """A call being received. Every method may raise OSError, for a full or failing disk."""

    def __init__(self, folder: Path, call: Call, signers: Sequence[Signer]) -> None:
        """Creates `folder`, which belongs to this call only."""
        self.folder, self.call, self._signers = folder, call, list(signers)
        folder.mkdir(parents=True, exist_ok=True)
        self.record: CallRecord | None = None
        self._missing: list[str] = []
        self._list_missing()

    @property
    def place(self) -> tuple[str, int] | None:
        """The next file and offset to receive; None once the call is complete."""
        if not self._missing:
            return None
        return self._missing[0], self._size

    def store(self, name: str, offset: int, total: int, data: bytes) -> bool:
        """Stores a block. False for an unexpected block, such as a repeated one. Damaged: the received part of the file
        was deleted."""
        if (name, offset) != self.place or not data:
            return False
        path = self.folder / f"{name}{PART}"
        if total > self._limit(name) or offset + len(data) > total:
            path.unlink(missing_ok=True)
            self._size = 0
            raise Damaged("copy_size", f"{name} of {total} bytes, {self._limit(name)} at most")
        with path.open("ab") as file:
            file.write(data)
        self._size += len(data)
        if self._size == total:
            self._check_complete_file(name, path)
        return True

    def forget_part(self) -> None:
        """Deletes the incomplete file: the unit has no byte at its end."""
        if self._missing:
            (self.folder / f"{self._missing[0]}{PART}").unlink(missing_ok=True)
            self._size = 0

    # --- within ------------------------------------------------------------------------------------------------

    def _list_missing(self) -> None:
        self.record = None
        if (self.folder / sealed.RECORD).exists():
            self.record = read_record((self.folder / sealed.RECORD).read_bytes(), self.call)
        wanted = [sealed.RECORD, sealed.SIGNATURE] if self.record is None else fetch.ordered(
            [sealed.RECORD, sealed.SIGNATURE, *self.record.files]
        )  # fmt: skip
        self._missing = [name for name in wanted if not (self.folder / name).exists()]
        self._size = 0
        if self._missing and (path := self.folder / f"{self._missing[0]}{PART}").exists():
            if not path.is_file():
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            self._size = path.stat().st_size

    def _check_complete_file(self, name: str, path: Path) -> None:
        try:
            self._prove(name, path)
        except Refusal as error:
            path.unlink()
            self._size = 0
            raise Damaged(getattr(error, "code", "refused"), f"{name}: {error}") from None
        path.rename(self.folder / name)
        self._list_missing()

    def _prove(self, name: str, path: Path) -> None:
        if name == sealed.SIGNATURE:
            record, at = (self.folder / sealed.RECORD).read_bytes(), sealed.call_time(self.call.call_id)
            signers.verify(record, path.read_bytes(), namespaces.RECORD, self._signers, self.call.unit, at)
            return
        named = self.call.record_sha256 if self.record is None else self.record.files.get(name)
        if files.sha256(path) != named:
            raise Damaged("copy_changed", "its SHA-256 is not the one that the unit has signed")
        if name == sealed.RECORD:
            read_record(path.read_bytes(), self.call)

    def _limit(self, name: str) -> int:
        """The largest size that the record permits; a broker could send more."""
        if name == sealed.RECORD:
            return sealed.RECORD_LIMIT_BYTES
        if name == sealed.SIGNATURE:
            return sshsig.SIGNATURE_LIMIT_BYTES
        audio = self.record.audio if self.record else None
        samples = next((part.samples for part in audio.parts if part.file == name), 0) if audio else 0
        return SMALL_BYTES + samples + samples // 1000  # age adds 16 bytes to 64 KiB
