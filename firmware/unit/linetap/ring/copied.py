# SPDX-License-Identifier: Apache-2.0
"""The ring as a reader sees it: copies by pread(2), and never a mapping.

Whoever writes a file can make it shorter, and a reader that has it mapped is ended by SIGBUS then. Here a piece that is
not there is zeros: slots that are not whole, and a head that does not move.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linetap.ring.layout import HEADER, HEADER_BYTES, slot_dtype

_FIELDS: Any = HEADER.fields
_HEAD_AT = _FIELDS["head"][1]


class Copied:
    """`slots(low, high)`: the slots of these numbers, as they are now. OSError where the file cannot be opened."""

    def __init__(self, path: Path, lines: int, count: int) -> None:
        self.path, self._count = path, count
        self._dtype = slot_dtype(lines)
        fields: Any = self._dtype.fields
        self._seq_at, self._frame_at, self._frames_at = (fields[name][1] for name in ("seq", "frame", "frames"))
        self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino

    @property
    def head(self) -> int:
        """So many slots were written in all."""
        return self._number(_HEAD_AT)

    def slots(self, low: int, high: int) -> npt.NDArray[Any]:
        found = np.zeros(high - low, self._dtype)
        size, raw, at = self._dtype.itemsize, memoryview(found.view(np.uint8)), 0
        while at < len(found):
            index = (low + at) % self._count
            piece = min(len(found) - at, self._count - index)
            os.preadv(self._fd, [raw[at * size : (at + piece) * size]], HEADER_BYTES + index * size)
            at += piece
        return found

    def seq(self, number: int) -> int:
        """Of slot `number` as it is now: one more than its number while it is there."""
        return self._number(self._at(number) + self._seq_at)

    def seqs(self, low: int, high: int) -> npt.NDArray[np.uint64]:
        return np.array([self.seq(number) for number in range(low, high)], np.uint64)

    def frame(self, number: int) -> int:
        return self._number(self._at(number) + self._frame_at, signed=True)

    def end(self, number: int) -> int:
        """The frame behind slot `number`."""
        return self.frame(number) + self._number(self._at(number) + self._frames_at, signed=True)

    def close(self) -> None:
        os.close(self._fd)

    def _at(self, number: int) -> int:
        return HEADER_BYTES + number % self._count * self._dtype.itemsize

    def _number(self, at: int, signed: bool = False) -> int:
        return int.from_bytes(os.pread(self._fd, 8, at), "little", signed=signed)
