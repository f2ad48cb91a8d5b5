# SPDX-License-Identifier: Apache-2.0
"""The journal's two files: of a fixed size, zeroed once, then overwritten in place in turn.

No append changes a file's size or allocates space: a sync writes the data alone, and a full disk does not stop the
journal. A file is unchanged while the other is written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from linetap.recorder.vault.recordings.entries import Entry
from linetap_core import plainfile
from linetap_core.durable import files, folders

LINES_A_SHARE = 32
SHARE_BYTES = 8 << 20  # 32 lines need 0.3 MB/s: a file lasts half a minute, and a chunk is full after 8.2 s
_MOST_BYTES = 16 * SHARE_BYTES
NAMES = ("a.journal", "b.journal")
_ZEROS = bytes(1 << 20)

log = logging.getLogger("linetap.recorder.journal")


def file_bytes(lines: int) -> int:
    return SHARE_BYTES * -(-lines // LINES_A_SHARE)


class Store:
    """The writing side, for one thread at a time. Any method may raise OSError and can be called again."""

    def __init__(self, folder: Path, size: int) -> None:
        """Creates missing files. `begin` comes before the first `append`."""
        self._paths = [folder / name for name in NAMES]
        self._size = size
        self._fds: list[int] = []
        runs = [_run(path) for path in self._paths]
        generations = [run.generation if run else 0 for run in runs]
        self._generation = max(generations)
        self._which = generations.index(self._generation)
        self._at = self._number = 0
        folders.make(folder.parent, folder)
        try:
            for path in self._paths:
                self._fds.append(self._open(path))
        except OSError:
            self.close()
            raise

    def begin(self, entries: list[Entry]) -> None:
        """Begins a new generation, with `entries`, in the other file."""
        which, generation = 1 - self._which, self._generation + 1
        data = encode(generation, 0, entries)
        if len(data) > self._size:
            raise OSError(f"{self._paths[which]}: {len(data)} bytes of open calls do not fit into it")
        self._put(which, data, 0)
        self._which, self._generation, self._at, self._number = which, generation, len(data), 1

    def append(self, entries: list[Entry]) -> bool:
        """Appends entries by one write and one sync. False if the file is full."""
        data = encode(self._generation, self._number, entries)
        if self._at + len(data) > self._size:
            return False
        self._put(self._which, data, self._at)
        self._at += len(data)
        self._number += 1
        return True

    def close(self) -> None:
        for fd in self._fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._fds = []

    def _put(self, which: int, data: bytearray, at: int) -> None:
        left = memoryview(data)
        while left:
            written = os.pwrite(self._fds[which], left, at)
            left, at = left[written:], at + written
        os.fdatasync(self._fds[which])

    def _open(self, path: Path) -> int:
        """Opens or creates the file. A file of another size is replaced: the caller has read it already."""
        if not path.exists() or path.stat().st_size != self._size:
            temporary = files.free_temporary(path)
            fd = files.create(temporary)
            try:
                for at in range(0, self._size, len(_ZEROS)):
                    files.write_all(fd, _ZEROS[: self._size - at])
                os.fsync(fd)
            finally:
                os.close(fd)
            temporary.rename(path)
            files.sync_directory(path.parent)
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)


def read(folder: Path) -> list[Run]:
    """Returns the content of the two files, the newest last."""
    runs = [run for name in NAMES if (run := _run(folder / name)) is not None]
    return sorted(runs, key=lambda run: run.generation)


def _run(path: Path) -> Run | None:
    """Reads a file. None if it is missing or unreadable: the other file has every open call too."""
    try:
        return read_frames(plainfile.read(path, _MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        log.error("journal_damaged: %s: %s", path, error)
        return None


# --- The content of a journal file: a sequence of frames, each with its own checksum ----------------------------------
# magic LTJ1 | generation u64 | number u32 | length u32 | CRC-32 of all other fields | the entries, msgpack
#
# A file is overwritten in place, so old frames lie behind the new ones: frames of the highest generation count. A
# damaged frame is skipped and the next one searched for: a flipped bit costs one frame.


MAGIC = b"LTJ1"
_FIELDS = struct.Struct("<4sQIII")
HEADER_BYTES = _FIELDS.size
_CRC_BYTES = 4  # of the last field
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Entry])


@dataclass(frozen=True, slots=True)
class Run:
    """The frames of one file, in the order of writing."""

    generation: int
    frames: list[list[Entry]]


def encode(generation: int, number: int, entries: list[Entry]) -> bytearray:
    frame = bytearray(HEADER_BYTES)
    _ENCODER.encode_into(entries, frame, HEADER_BYTES)
    _FIELDS.pack_into(frame, 0, MAGIC, generation, number, len(frame) - HEADER_BYTES, 0)
    with memoryview(frame) as view:
        crc = zlib.crc32(view[HEADER_BYTES:], zlib.crc32(view[: HEADER_BYTES - _CRC_BYTES]))
    frame[HEADER_BYTES - _CRC_BYTES : HEADER_BYTES] = crc.to_bytes(_CRC_BYTES, "little")
    return frame


def read_frames(data: bytes | bytearray) -> Run | None:
    """The valid frames in a file's bytes; None without any."""
    view, at = memoryview(data), 0
    newest, found = 0, dict[int, list[Entry]]()
    while (at := data.find(MAGIC, at)) >= 0:
        head = _head_at(view, at)
        entries = None if head is None or head.generation < newest else _entries(view[head.begin : head.end])
        if head is None or entries is None:
            at = at + len(MAGIC) if head is None else head.end
            continue
        if head.generation > newest or not found:
            newest, found = head.generation, {}
        found[head.number] = entries
        at = head.end
    return Run(newest, [found[number] for number in sorted(found)]) if found else None


class _Head(NamedTuple):
    generation: int
    number: int
    begin: int  # of the entries
    end: int


def _head_at(view: memoryview, at: int) -> _Head | None:
    """The head of the frame that begins at `at`, if the frame is whole."""
    begin = at + HEADER_BYTES
    if begin > len(view):
        return None
    _, generation, number, length, crc = _FIELDS.unpack_from(view, at)
    end = begin + length
    if end > len(view) or zlib.crc32(view[begin:end], zlib.crc32(view[at : begin - _CRC_BYTES])) != crc:
        return None
    return _Head(generation, number, begin, end)


def _entries(body: memoryview) -> list[Entry] | None:
    """Decodes the entries; None for those of another version."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return None
