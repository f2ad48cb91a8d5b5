# SPDX-License-Identifier: Apache-2.0
"""Every write and flush of a machine's card, recorded by QEMU below the kernel, and its possible content after a power
cut.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from machine import BOOT_OFFSET, Machine

BOOT_BYTES = 256 << 20
ORDERS = 50  # random subsets of the unflushed writes, at each moment
NOTED = "log-sector-size=512,log-super-update-interval=1"
MAGIC, FLUSH, FUA, DISCARD = 0x6A736677736872, 1, 2, 4  # drivers/md/dm-log-writes.c


@dataclass(frozen=True)
class Write:
    """A write to the card, or a flush, which has no data."""

    offset: int
    data: bytes
    is_flush: bool


def writes(log: Path) -> Iterator[Write]:
    """The writes in QEMU's blklogwrites, in the format of the kernel's dm-log-writes."""
    with log.open("rb") as file:
        magic, _, count, size = struct.unpack("<QQQI", file.read(28))
        assert magic == MAGIC
        file.seek(size)
        for _ in range(count):
            sector, sectors, flags, _ = struct.unpack("<QQQQ", file.read(size)[:32])
            data = b"" if flags & DISCARD else file.read(sectors * size)
            if flags & (FLUSH | FUA) or not data:
                yield Write(0, b"", True)
            if data:
                yield Write(sector * size, data, False)


def logged(machine: Machine, log: Path) -> list[str]:
    """QEMU's options for a card whose writes are recorded in `log`."""
    log.touch()
    return [
        "-blockdev", f"driver=file,filename={machine.card},node-name=file,locking=off",
        "-blockdev", f"driver=file,filename={log},node-name=log,locking=off",
        "-blockdev", f"driver=blklogwrites,node-name=card,file=file,log=log,{NOTED}",
    ]  # fmt: skip


def first_partition(machine: Machine, into: Path) -> None:
    """Copies the first partition as it is now."""
    with machine.card.open("rb") as file:
        file.seek(BOOT_OFFSET)
        into.write_bytes(file.read(BOOT_BYTES))


def states(first: Path, found: list[Write]) -> Iterator[None]:
    """The copy `first` after each write to it, and with some of the writes since the last flush missing."""
    dice, open_writes = random.Random(1), list[Write]()
    with first.open("r+b", buffering=0) as file:
        for write in found:
            if write.is_flush:
                _apply(file, open_writes)
                open_writes = []
            elif BOOT_OFFSET <= write.offset < BOOT_OFFSET + BOOT_BYTES:
                open_writes.append(write)
                some = [[each for each in open_writes if dice.random() < 0.5] for _ in range(ORDERS)]
                for chosen in [*some, open_writes]:
                    before = _apply(file, chosen)
                    yield
                    _apply(file, before[::-1])


def _apply(file: FileIO, chosen: list[Write]) -> list[Write]:
    """Applies the writes; returns the former content."""
    before = []
    for write in chosen:
        file.seek(write.offset - BOOT_OFFSET)
        before.append(Write(write.offset, file.read(len(write.data)), is_flush=False))
        file.seek(write.offset - BOOT_OFFSET)
        file.write(write.data)
    return before
