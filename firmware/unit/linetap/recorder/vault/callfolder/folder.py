# SPDX-License-Identifier: Apache-2.0
"""The folder of one call while it is written. Used by the vault's thread alone.

Only whole age chunks are kept: a chunk counts once it is written and synced; until then its samples are in RAM only. If
a write fails (a full disk, a card that reports an error), the part is cut back to its last whole chunk and its file key
is discarded; the next write begins another part with a new key, so a nonce never repeats. A part without a whole chunk
is removed and its number reused. Stock `age` opens every remaining part, and the parts joined are one audio stream.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from linetap.recorder.vault.callfolder.part import PartFile
from linetap_core import plainfile
from linetap_core.codecs.codec import Codec
from linetap_core.codecs.registry import MULAW
from linetap_core.durable import files, folders
from linetap_core.durable.files import replace_durably
from linetap_core.durable.unreadable import reading
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall, new_sealed_key
from linetap_core.evidence.sealing import age, group
from linetap_core.records import Audio, CallRecord, Part

Sign = Callable[[bytes], str]


class CallFolder:
    """The folder of one open call. Every method may raise OSError; the object stays usable, and `samples` is then the
    number of kept samples."""

    def __init__(self, path: Path, recipient: str, inner: bytes, codec: Codec = MULAW) -> None:
        """For `create`, `resume` and `recover` only."""
        self.path = path
        self.codec = codec
        self.recipient = recipient  # K's public half, age1...
        self.inner = inner  # K's private half, sealed to the custodians
        self._done: list[PartFile] = []
        self._part: PartFile | None = None
        self._torn: PartFile | None = None  # a failed part that is not cut back yet
        self._finished = False

    @classmethod
    def create(cls, vault: Path, call: OfCall, epoch: str, custodians: list[str], codec: Codec = MULAW) -> Self:
        """Creates a folder with key.age in it, synced. `epoch` and `custodians`: in the notation of members.py.

        A recorder killed before its first checkpoint leaves a folder with key.age alone. That key is lost, and a new
        key replaces it. Refusal if the folder has audio.
        """
        path = vault / sealed.call_path(call.call_id)
        recipient, inner = new_sealed_key(custodians, call)
        folders.make(vault, path)
        _refuse_if_used(path)
        replace_durably(path / sealed.KEY, group.seal(inner, epoch))
        return cls(path, recipient, inner, codec)

    @classmethod
    def resume(cls, vault: Path, call_id: str, recipient: str, inner: bytes, codec: Codec = MULAW) -> Self:
        """Opens the folder that a killed recorder left; `recipient` and `inner` come from the checkpoint.

        The newest part is cut back to its last whole chunk. Writing continues at `samples`; audio that was in the
        killed recorder's RAM is still in the ring. A sealed folder is not changed.
        """
        folder = cls(vault / sealed.call_path(call_id), recipient, inner, codec)
        if not (folder.path / sealed.KEY).is_file():
            raise Refusal(f"{folder.path}: there is no {sealed.KEY}, the call cannot be continued")
        files.remove_temporary(folder.path)
        folder._check_parts()
        return folder

    @classmethod
    def recover(cls, vault: Path, call_id: str, recipient: str, codec: Codec = MULAW) -> Self:
        """Opens what a power cut left of a call: its whole chunks. Only `add`, `put_meta` and `seal_recovered` may
        follow.

        Additions of an earlier recovery are removed: the journal still has them. Refusal if the folder is damaged.
        """
        folder = cls(vault / sealed.call_path(call_id), recipient, b"", codec)
        folders.make(vault, folder.path)
        files.remove_temporary(folder.path)
        folder._check_parts_after_power_cut()
        folder._finished = True
        return folder

    @property
    def samples(self) -> int:
        """Samples accepted so far. After an OSError, the kept samples: pass the samples after them again."""
        if self._part is not None:
            return self._part.first + self._part.samples
        return self._durable_end()

    @property
    def durable_samples(self) -> int:
        """Samples in whole chunks on disk: those that `resume` would find now."""
        if self._part is not None:
            return self._part.first + self._part.durable_samples
        return self._durable_end()

    @property
    def parts(self) -> list[Part]:
        """The parts so far; the part being written counts as far as it is on disk."""
        open_part = [self._part] if self._part is not None and self._part.durable_samples else []
        return [Part(part.name, part.first, part.durable_samples) for part in [*self._done, *open_part]]

    @property
    def sealed(self) -> bool:
        return (self.path / sealed.SIGNATURE).exists()

    def write(self, units: bytes) -> None:
        """Accepts all samples or raises OSError. A chunk is on disk, synced, once it is full (8.2 s of audio)."""
        if self._finished:
            raise ValueError("the audio of this call is finished")
        if not units:
            return
        self._settle()
        try:
            if self._part is None:
                self._part = self._next_part()
            self._part.write(units)
        except OSError:
            self._give_up_part()
            raise

    def finish_audio(self, tail: bytes = b"", end: int = 0) -> None:
        """Writes the last chunk, shorter than the others. After an OSError the tail must be passed again."""
        if self._finished:
            return
        self._settle()
        if self._part is None and tail:
            self._part = self._next_part()
        if self._part is not None:
            try:
                self._part.finish(tail, end)
            except OSError:
                self._give_up_part()
                raise
            self._done.append(self._part)
            self._part = None
        self._finished = True

    def keep_open(self, state: bytes) -> None:
        """Stores the state of an open call beside its key, independent of the journal."""
        replace_durably(self.path / sealed.OPEN, state)

    def add(self, part: bytes, samples: int) -> None:
        """Appends a whole age file as the next part. Neither this method nor `put_meta` syncs; `seal_recovered`
        requires a sync before.
        """
        number = self._next_number()
        self._done.append(PartFile.whole(self.path, number, self._durable_end(), self.codec, part, samples))

    def put_meta(self, meta: bytes) -> None:
        (self.path / sealed.META).unlink(missing_ok=True)
        fd = files.create(self.path / sealed.META)
        try:
            files.write_all(fd, meta)
        finally:
            os.close(fd)

    def seal_recovered(self, record: CallRecord, sign: Sign) -> CallRecord:
        """Writes record.json and its signature, once meta.age and all parts are written and synced."""
        return self._write_record(self._with_audio(record), sign)

    def seal(
        self, record: CallRecord, sign: Sign, epoch: str | None = None, tail: bytes = b"", end: int = 0
    ) -> CallRecord:
        """Finishes the audio with `tail` if necessary; writes meta.age, record.json and its signature.

        Returns the whole record as sealed, or the passed record if an earlier call had sealed it already.

        `record.audio.parts`, `.samples` and `record.files` are filled in here. `sign` returns the armored SSHSIG
        of namespace linetap-record. A second call after a failure or a restart completes the seal.
        `epoch`: another recipient to wrap `inner` for, if the call's class or day has changed since its beginning. The
        new key is beside the old one until the record names it, so that after a power cut the record's key exists.
        """
        _require_id(record, self.path)
        if (self.path / sealed.RECORD).exists():
            sign_existing(self.path, sign)
            return record
        self.finish_audio(tail, end)
        whole = self._with_audio(record)
        replace_durably(self.path / sealed.META, age.encrypt(sealed.whole_json(whole), [self.recipient]))
        return self._write_record(whole, sign, epoch)

    def _with_audio(self, record: CallRecord) -> CallRecord:
        audio = msgspec.structs.replace(
            record.audio or Audio(), codec=self.codec.name, samples=self.samples, parts=self.parts
        )
        inner_sha256 = hashlib.sha256(self.inner).hexdigest() if self.inner else msgspec.UNSET
        return msgspec.structs.replace(record, audio=audio, files={}, inner_sha256=inner_sha256)

    def _write_record(self, record: CallRecord, sign: Sign, epoch: str | None = None) -> CallRecord:
        key = self._key_for(epoch)
        with reading(self.path):
            names = {part.name: part.sha256() for part in self._done}
            if (self.path / sealed.META).exists():  # an unknown orphan has none
                names[sealed.META] = files.sha256(self.path / sealed.META)
            names[sealed.KEY] = files.sha256(key)
        whole = msgspec.structs.replace(record, files=names)
        _write_record(self.path, whole, sign)
        return whole

    def _key_for(self, epoch: str | None) -> Path:
        following = self.path / sealed.NEXT_KEY
        if epoch is None:
            following.unlink(missing_ok=True)
            return self.path / sealed.KEY
        replace_durably(following, group.seal(self.inner, epoch))
        return following

    def _durable_end(self) -> int:
        return self._done[-1].first + self._done[-1].durable_samples if self._done else 0

    def _next_number(self) -> int:
        number = len(self._done) + 1
        if number > sealed.MOST_PARTS:
            raise OSError(errno.EFBIG, f"the call already has {sealed.MOST_PARTS} parts", str(self.path))
        return number

    def _next_part(self) -> PartFile:
        return PartFile.create(self.path, self._next_number(), self._durable_end(), self.recipient, self.codec)

    def _give_up_part(self) -> None:
        """Keeps the whole chunks of a failed part. If the cut fails too, it is retried later."""
        self._torn, self._part = self._part, None
        if self._torn is not None and self._torn.durable_samples:
            self._done.append(self._torn)
        with contextlib.suppress(OSError):
            self._settle()

    def _settle(self) -> None:
        """Cuts a failed part back before another part follows."""
        if self._torn is not None:
            self._torn.truncate()
            self._torn = None

    def _numbers(self) -> set[int]:
        with reading(self.path):
            return {int(m[1]) for p in self.path.iterdir() if (m := sealed.PART_NAME.fullmatch(p.name))}

    def _found_part(self, number: int, whole: bool) -> PartFile:
        with reading(self.path):
            return PartFile.existing(self.path, number, self._durable_end(), self.codec, whole=whole)

    def _check_parts_after_power_cut(self) -> None:
        """Counts the parts up to the first without a whole chunk. If a later part has chunks, the call is damaged."""
        for number in sorted(self._numbers()):
            part = self._found_part(number, whole=False)
            if part.durable_samples and number != len(self._done) + 1:
                raise Refusal(f"{self.path}: the part before {part.name} is missing or damaged, nothing is added")
            if part.durable_samples:
                part.truncate()
                self._done.append(part)
            else:
                (self.path / part.name).unlink()

    def _check_parts(self) -> None:
        found = self._numbers()
        if found != set(range(1, len(found) + 1)):
            raise Refusal(f"{self.path}: a part is missing, the call cannot be continued")
        self._finished = (self.path / sealed.RECORD).exists()
        for number in sorted(found):
            part = self._found_part(number, whole=self._finished)
            if not self._finished:
                if number < len(found) and not part.durable_samples:
                    raise Refusal(f"{self.path}: {part.name} is damaged, the call cannot be continued")
                part.truncate()
            if part.durable_samples:
                self._done.append(part)


def seal_without_audio(vault: Path, record: CallRecord, sign: Sign) -> Path:
    """Seals a call without audio: record.json and its signature, no personal data. `record.audio`: the missing part,
    if any.

    Returns the folder. A second call completes it. Refusal if the folder contains a key or audio.
    """
    path = vault / sealed.call_path(record.call_id)
    folders.make(vault, path)
    if (path / sealed.RECORD).exists():
        sign_existing(path, sign)
        return path
    files.remove_temporary(path)
    lacking = record.audio if record.audio is not None and record.audio.gaps else None
    if any(entry.name != sealed.OPEN for entry in path.iterdir()):
        raise Refusal(f"{path}: there is a call in it already")
    _write_record(path, msgspec.structs.replace(record, audio=lacking, files={}), sign)
    return path


def _refuse_if_used(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == sealed.RECORD or sealed.PART_NAME.fullmatch(entry.name):
            raise Refusal(f"{path}: there is a call in it already ({entry.name})")
    files.remove_temporary(path)


def _require_id(record: CallRecord, path: Path) -> None:
    if record.call_id != path.name:
        raise BadInput(f"the record is of call {record.call_id}, the folder of {path.name}")


def _write_record(path: Path, record: CallRecord, sign: Sign) -> None:
    """Signs the record, then writes both: a key that does not work leaves no unsigned record."""
    data = sealed.public_json(record)
    signature = sign(data)
    replace_durably(path / sealed.RECORD, data)
    _take_next_key(path)
    (path / sealed.OPEN).unlink(missing_ok=True)  # on disk with the signature
    replace_durably(path / sealed.SIGNATURE, signature.encode("ascii"))


def sign_existing(path: Path, sign: Sign) -> None:
    """Completes a record that exists: installs the key that it names, and writes its signature if that is missing."""
    _take_next_key(path)
    (path / sealed.OPEN).unlink(missing_ok=True)
    if not (path / sealed.SIGNATURE).exists():
        data = plainfile.read(path / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        replace_durably(path / sealed.SIGNATURE, sign(data).encode("ascii"))


def _take_next_key(path: Path) -> None:
    """Replaces the first key, which is no longer used."""
    if (path / sealed.NEXT_KEY).exists():
        files.move_durably(path / sealed.NEXT_KEY, path / sealed.KEY)
