# SPDX-License-Identifier: Apache-2.0
"""One call on its way in: a folder in which every whole file is proved, and the one that is coming ends in .part.

What is there says how far it got, so it goes on from there after any break. A .part that a power cut has left with
other bytes than it was given shows in its hash, like one that somebody changed on the way: it is fetched anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.clock import S_PER_DAY, parse_rfc3339
from linetap_core.durable import files
from linetap_core.errors import Refusal
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.records import CallRecord
from linetap_desk.proofs.callfolder import Damaged

PART = ".part"
SMALL_BYTES = 64 << 10  # key.age and meta.age have a few hundred
_MOST_SAMPLES = (
    S_PER_DAY * 8000
)  # of a call: its record is the unit's own word, and says how much of the store it takes


@dataclass(frozen=True, slots=True)
class Call:
    """`record_sha256` as the unit's signed event has it: all else is proved from there."""

    unit: str
    call_id: str
    record_sha256: str


def require_whole(folder: Path, call: Call) -> None:
    """Damaged unless everything in `folder` is as the record says, and the record as the unit's event says. What was
    proved as it came is read once more: a power cut may have taken what was not synced yet."""
    record = (folder / sealed.RECORD).read_bytes()
    named = {sealed.RECORD: call.record_sha256, **sealed.decode_record(record).files}
    changed = [name for name, digest in named.items() if files.sha256(folder / name) != digest]
    if changed:
        raise Damaged("copy_changed", f"{changed[0]}: its SHA-256 is another than the unit has signed")
    sshsig.check(record, (folder / sealed.SIGNATURE).read_bytes(), namespaces.RECORD)


def read_record(data: bytes, call: Call) -> CallRecord:
    """Damaged unless it is a record of this very call, and names no other files than a call has."""
    try:
        record = sealed.decode_record(data)
    except msgspec.MsgspecError as error:
        raise Damaged("copy_record", f"not a record: {error}") from None
    if (record.unit, record.call_id) != (call.unit, call.call_id):
        raise Damaged("copy_record", "it is of another call")
    strange = [name for name in record.files if not fetch.is_file(name) or name in (sealed.RECORD, sealed.SIGNATURE)]
    if strange:
        raise Damaged("copy_record", f"it names {strange[0]!r}, which no call has")
    _require_until(record)
    parts = record.audio.parts if record.audio else []
    if any(part.samples < 0 for part in parts) or sum(part.samples for part in parts) > _MOST_SAMPLES:
        raise Damaged("copy_record", "it names more audio than a day has, which no call lasts")
    return record


def _require_until(record: CallRecord) -> None:
    """That it says when the copy is to go, or that it has no day."""
    until = record.retention.until if record.retention else None
    if until is None:
        return
    try:
        parse_rfc3339(until)
    except ValueError as error:
        raise Damaged("copy_record", f"it is to be kept until {until[:40]!r}: {error}") from None


class Incoming:
    """OSError in every method: the disk takes nothing, or has lost something."""

    def __init__(self, folder: Path, call: Call, signers: Sequence[Signer]) -> None:
        """`folder` is of this call alone, and made here."""
        self.folder, self.call, self._signers = folder, call, list(signers)
        folder.mkdir(parents=True, exist_ok=True)
        self.record: CallRecord | None = None
        self._missing: list[str] = []
        self._look()

    @property
    def place(self) -> tuple[str, int] | None:
        """The file and the byte that are to come next; None: it is all here."""
        if not self._missing:
            return None
        return self._missing[0], self._size

    def take(self, name: str, offset: int, total: int, data: bytes) -> bool:
        """False for what is not next: an old block that comes twice. Damaged: what was here of the file is away."""
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
            self._whole(name, path)
        return True

    def forget_part(self) -> None:
        """Of the file that is coming: the unit says that it has no such byte."""
        if self._missing:
            (self.folder / f"{self._missing[0]}{PART}").unlink(missing_ok=True)
            self._size = 0

    # --- within ------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self.record = None
        if (self.folder / sealed.RECORD).exists():
            self.record = read_record((self.folder / sealed.RECORD).read_bytes(), self.call)
        wanted = [sealed.RECORD, sealed.SIGNATURE] if self.record is None else fetch.ordered(
            [sealed.RECORD, sealed.SIGNATURE, *self.record.files]
        )  # fmt: skip
        self._missing = [name for name in wanted if not (self.folder / name).exists()]
        self._size = 0
        if self._missing and (path := self.folder / f"{self._missing[0]}{PART}").exists():
            self._size = path.stat().st_size

    def _whole(self, name: str, path: Path) -> None:
        try:
            self._prove(name, path)
        except Refusal as error:
            path.unlink()
            self._size = 0
            raise Damaged(getattr(error, "code", "refused"), f"{name}: {error}") from None
        path.rename(self.folder / name)
        self._look()

    def _prove(self, name: str, path: Path) -> None:
        if name == sealed.SIGNATURE:
            record, at = (self.folder / sealed.RECORD).read_bytes(), sealed.call_time(self.call.call_id)
            signers.verify(record, path.read_bytes(), namespaces.RECORD, self._signers, self.call.unit, at)
            return
        named = self.call.record_sha256 if self.record is None else self.record.files.get(name)
        if files.sha256(path) != named:
            raise Damaged("copy_changed", "its SHA-256 is another than the unit has signed")
        if name == sealed.RECORD:
            read_record(path.read_bytes(), self.call)

    def _limit(self, name: str) -> int:
        """A broker can say what it likes: no file gets larger here than the record lets it be."""
        if name == sealed.RECORD:
            return sealed.RECORD_LIMIT_BYTES
        if name == sealed.SIGNATURE:
            return sshsig.SIGNATURE_LIMIT_BYTES
        audio = self.record.audio if self.record else None
        samples = next((part.samples for part in audio.parts if part.file == name), 0) if audio else 0
        return SMALL_BYTES + samples + samples // 1000  # age adds 16 bytes to 64 KiB
