# SPDX-License-Identifier: Apache-2.0
"""The simulated disk behaves as a disk: synced data are never lost, unsynced data are at times; also with SQLite."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk import Disk, after_cut, require

CUTS = 12
RECORD = 100


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    require()
    with Disk(tmp_path, tmp_path / "mounted", mib=32) as found:
        yield found


def _cuts(disk: Disk, folder: Path) -> Iterator[Path]:
    for number in range(CUTS):
        image = folder / f"{number}.img"
        disk.cut(image, number, (512, 4096)[number % 2])
        yield image


def test_a_flush_of_the_file_system_reaches_the_disk(disk: Disk, tmp_path: Path) -> None:
    _, before, _ = disk.counts()
    path = tmp_path / "mounted" / "file"
    path.write_bytes(b"x" * 10_000)
    assert disk.counts()[1] == before
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    assert disk.counts()[1] > before


def test_what_was_synced_is_there_after_any_cut_and_what_was_not_is_lost_at_times(disk: Disk, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "mounted" / "synced", os.O_RDWR | os.O_CREAT)
    other = os.open(tmp_path / "mounted" / "unsynced", os.O_RDWR | os.O_CREAT)
    os.fsync(fd)
    acknowledged, lost = 0, 0
    for number, image in enumerate(_cuts(disk, tmp_path)):
        with after_cut(image, tmp_path / "after") as said:
            data = (tmp_path / "after" / "synced").read_bytes()
            assert data[: acknowledged * RECORD] == b"".join(bytes([n]) * RECORD for n in range(acknowledged)), said
            found = tmp_path / "after" / "unsynced"
            lost += not found.exists() or found.stat().st_size < number * RECORD
        os.pwrite(fd, bytes([number]) * RECORD, number * RECORD)
        os.fdatasync(fd)
        acknowledged = number + 1
        os.pwrite(other, bytes([number]) * RECORD, number * RECORD)
    os.close(fd)
    os.close(other)
    assert lost


def test_sqlite_keeps_every_transaction_that_it_has_committed(disk: Disk, tmp_path: Path) -> None:
    committed, stop = [0], threading.Event()

    def write() -> None:
        base = sqlite3.connect(tmp_path / "mounted" / "base")
        base.execute("PRAGMA synchronous=EXTRA")  # FULL does not sync the folder after the journal's unlink
        base.execute("CREATE TABLE kept (n INTEGER PRIMARY KEY, text TEXT)")
        while not stop.is_set():
            with base:
                base.execute("INSERT INTO kept VALUES (?, ?)", (committed[0], "x" * 3000))
            committed[0] += 1
        base.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        least, images = [], []
        for number in range(CUTS):
            while committed[0] < 5 * (number + 1):
                assert writer.is_alive()
            least.append(committed[0])
            images.append(tmp_path / f"{number}.img")
            disk.cut(images[-1], number, (512, 4096)[number % 2])
    finally:
        stop.set()
        writer.join()
    for count, image in zip(least, images, strict=True):
        place = tmp_path / "after"
        with after_cut(image, place), contextlib.closing(sqlite3.connect(place / "base")) as base:
            whole = base.execute("PRAGMA integrity_check").fetchone()
            kept = base.execute("SELECT count(*) FROM kept").fetchone()
        assert whole == ("ok",)
        assert kept[0] >= count
