# SPDX-License-Identifier: Apache-2.0
"""A signed card in the emulated machine: started by a boot loader that takes only what its key has signed, and named
anew with the kernel's own vfat, of which every write is noted below the file system."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest
from machine import BOOT_OFFSET
from signedmachine import Signed, SignedMachine, Write, logged, writes

import pi_firmware
from pi_firmware import Fat

pytestmark = pytest.mark.hil
BOOT_BYTES = 256 << 20
ORDERS = 50  # of the writes that no flush has reached, at each moment


def test_a_signed_card_starts_and_its_slot_is_named_anew_by_writes_of_any_order(tmp_path: Path) -> None:
    """a signed card starts; autoboot.txt names one slot or the other after each write, in any order between flushes"""
    signed = Signed.new(tmp_path / "signed")
    card = signed.make("0.1.0", "card") / "linetap.img"
    (tmp_path / "unit").mkdir()
    with SignedMachine(tmp_path / "unit", card, signed.public) as machine:
        log, first = tmp_path / "writes", tmp_path / "first"
        machine.drive = logged(machine, log)
        machine.boot()
        assert machine.run("/usr/lib/linetap/slots", "get-current") == "a"
        assert machine.run("/usr/lib/linetap/slots", "get-primary") == "a"
        machine.run("sync", "/boot/firmware")
        seen = len(list(writes(log)))
        with machine.card.open("rb") as file:
            file.seek(BOOT_OFFSET)
            first.write_bytes(file.read(BOOT_BYTES))
        machine.run(
            "sh", "-euc", ". /usr/lib/linetap/bootfiles; . /usr/lib/linetap/autoboot; autoboot_write /boot/firmware b"
        )
        machine.cut()
        found = list(writes(log))[seen:]
    assert [write for write in found if write.is_flush], "the card is never told to flush"
    starts = []
    for _ in states(first, found):
        text = Fat(first).read("autoboot.txt")
        assert text is not None, "there is none: the unit stays dark"
        starts.append(pi_firmware.autoboot(text, tryboot=False))
        assert pi_firmware.autoboot(text, tryboot=True) == (5 - starts[-1][0], True)
    assert set(starts) == {(2, True), (3, True)}
    assert starts[-1] == (3, True)


def states(first: Path, found: list[Write]) -> Iterator[None]:
    """`first` after each write to the first partition, and where some of those since the last flush are missing."""
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
    """What was there before."""
    before = []
    for write in chosen:
        file.seek(write.offset - BOOT_OFFSET)
        before.append(Write(write.offset, file.read(len(write.data)), is_flush=False))
        file.seek(write.offset - BOOT_OFFSET)
        file.write(write.data)
    return before
