# SPDX-License-Identifier: Apache-2.0
"""`tree.bin`, the stored hashes of a log's Merkle tree (merkle.py)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from linetap_core import plainfile, system
from linetap_core.evidence.merklelog.merkle import HASH_BYTES

TREE = "tree.bin"
FILE_MODE = 0o640


class FileNodes:
    """A tree's nodes in a file, in sequence. An OSError leaves the file as it was."""

    _fd = -1

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        flags = os.O_RDWR | os.O_CREAT if writable else system.READ_ALONE
        self._path = path
        self._fd = os.open(path, flags | system.NONBLOCK | system.CLOEXEC, FILE_MODE)
        plainfile.require_plain(self._fd, path)
        self.count = os.fstat(self._fd).st_size // HASH_BYTES

    def read(self, place: int) -> bytes:
        return self.read_all(place, 1) if place < self.count else b""

    def read_all(self, place: int, count: int) -> bytes:
        try:
            return system.read_at(self._fd, count * HASH_BYTES, place * HASH_BYTES)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None

    def append(self, nodes: Sequence[bytes]) -> None:
        try:
            write_at(self._fd, b"".join(nodes), self.count * HASH_BYTES)
            system.sync_data(self._fd)
        except OSError:
            with contextlib.suppress(OSError):  # a hash on disk means that its leaf is complete
                self.cut(self.count)
            raise
        self.count += len(nodes)

    def cut(self, count: int) -> None:
        os.ftruncate(self._fd, count * HASH_BYTES)
        self.count = count

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    __del__ = close


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Writes all of it."""
    while data:
        written = system.write_at(fd, data, offset)
        data, offset = data[written:], offset + written
