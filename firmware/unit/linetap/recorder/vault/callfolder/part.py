# SPDX-License-Identifier: Apache-2.0
"""A part of a call's audio: a file that grows by whole age chunks, each synced before it counts."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Self

from linetap_core import plainfile
from linetap_core.codecs.codec import Codec, part_offset
from linetap_core.durable import files
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.sealing import age


class PartFile:
    """A part's file. `first`: the part's first sample, counted from the start of the recording. `samples`: accepted
    samples; `durable_samples`: samples on disk."""

    def __init__(self, directory: Path, number: int, first: int, codec: Codec) -> None:
        """For `create`, `existing` and `whole` only."""
        self.name = sealed.part_name(number)
        self.first = first
        self._codec = codec
        self._begins = part_offset(codec, first)  # in the stream of the call
        self._taken = 0  # bytes of the stream
        self.samples = 0
        self.durable_samples = 0
        self._directory = directory
        self._path = directory / self.name
        self._number = number
        self._size = 0  # bytes on disk that count
        self._plaintext = 0  # bytes on disk that count, before encryption
        self._fd = -1
        self._writer: age.AgeWriter | None = None
        self._hash = hashlib.sha256()  # of the bytes that count, if `_hashed`
        self._hashed = True

    @classmethod
    def create(cls, directory: Path, number: int, first: int, recipient: str, codec: Codec) -> Self:
        """Creates a file for `recipient` (age1...) with its own file key. On OSError no file is left."""
        part = cls(directory, number, first, codec)
        part._clear_leftover()
        part._writer = age.AgeWriter([recipient])
        part._fd = files.create(part._path)
        try:
            part._append(part._writer.header)
            files.sync_directory(directory)
            if number == 1:
                part._writer.write(codec.header)  # shorter than a chunk: the writer returns no bytes yet
                part._taken = len(codec.header)
        except OSError:
            with contextlib.suppress(OSError):
                part.truncate()
            raise
        return part

    @classmethod
    def existing(cls, directory: Path, number: int, first: int, codec: Codec, *, whole: bool) -> Self:
        """Opens a part found on disk, for reading only. Its size determines the chunks that count.

        `whole`: the part was finished, so its last chunk may be short; otherwise only full chunks count.
        """
        part = cls(directory, number, first, codec)
        part._hashed = False
        with plainfile.opened(part._path) as file:
            file_bytes = os.fstat(file.fileno()).st_size
            try:
                offset = age.payload_offset(file.read(age.HEADER_LIMIT_BYTES))
            except age.NotAge:  # a kill within the header: no chunk counts
                return part
        part._size = file_bytes if whole else age.kept_bytes(offset, file_bytes)
        part._count(age.plaintext_size(part._size - offset))
        if whole and (possible := codec.possible(part._begins + part._plaintext)):
            part.durable_samples = possible[-1] - first
        part.samples = part.durable_samples
        return part

    @classmethod
    def whole(cls, directory: Path, number: int, first: int, codec: Codec, data: bytes, samples: int) -> Self:
        """Creates a file from a whole age file, without a sync: the caller syncs many of them together."""
        part = cls(directory, number, first, codec)
        fd = files.create(part._path)
        try:
            files.write_all(fd, data)
        finally:
            os.close(fd)
        part._hash.update(data)
        part._size = len(data)
        part.samples = part.durable_samples = samples
        return part

    def write(self, units: bytes) -> None:
        """Accepts whole units of the codec; writes and syncs each chunk that becomes full."""
        assert self._writer is not None
        chunks = self._writer.write(units)
        self._taken += len(units)
        self.samples = self._samples(self._taken)
        for at in range(0, len(chunks), age.SEALED_CHUNK_BYTES):
            self._append(chunks[at : at + age.SEALED_CHUNK_BYTES])
            self._count(self._plaintext + age.CHUNK_BYTES)

    def finish(self, tail: bytes = b"", end: int = 0) -> None:
        """Writes and syncs the last chunk, closes the file. `tail`: the stream's last unit, up to sample `end`."""
        assert self._writer is not None
        self.write(tail)
        if tail:
            self.samples = end - self.first
        self._append(self._writer.finish())
        self._close()
        self.durable_samples = self.samples

    def truncate(self) -> None:
        """Truncates the file to the bytes that count, or removes it if none do. Can be repeated after an OSError."""
        self._close()
        self.samples = self.durable_samples
        if not self.durable_samples:
            self._path.unlink(missing_ok=True)
            files.sync_directory(self._directory)
            return
        fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size != self._size:
                os.ftruncate(fd, self._size)
                os.fsync(fd)
        finally:
            os.close(fd)

    def sha256(self) -> str:
        """Returns the hash of the bytes that count; reads the disk only if another process wrote them."""
        return self._hash.hexdigest() if self._hashed else files.sha256(self._path)

    def _clear_leftover(self) -> None:
        """Removes a failed part that an earlier attempt could not remove."""
        if self._path.exists():
            leftover = PartFile.existing(self._directory, self._number, self.first, self._codec, whole=False)
            if not leftover.durable_samples:
                leftover.truncate()

    def _append(self, data: bytes) -> None:
        """Writes and syncs. Bytes count and enter the hash after the sync; if it fails, their state is unknown."""
        files.write_all(self._fd, data)
        os.fdatasync(self._fd)
        self._size += len(data)
        self._hash.update(data)

    def _count(self, plaintext: int) -> None:
        self._plaintext = plaintext
        self.durable_samples = self._samples(plaintext)

    def _samples(self, plaintext: int) -> int:
        """Returns the number of samples in the first bytes of the part."""
        return max(0, self._codec.samples(self._begins + plaintext) - self.first)

    def _close(self) -> None:
        """Discards the file key and closes the file. An error of close is ignored: every byte that counts is synced."""
        self._writer = None
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1
