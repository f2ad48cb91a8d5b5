# SPDX-License-Identifier: Apache-2.0
"""config.txt of an unsigned card, rewritten by the kernel's own vfat: every write is recorded below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cardwrites import BOOT_BYTES, first_partition, logged, states, writes
from machine import BOOT_OFFSET, Machine

from pi_firmware import Fat

pytestmark = pytest.mark.hil
SECTOR = 512
LAY_B = """
cd /boot/firmware
mkdir -p b
sed 's|a/$|b/|; s|4a\\.|4b.|' a/config.txt >b/config.txt
sync
sync .
"""
CHOOSE = ". /usr/lib/linetap/bootfiles; copy_config /boot/firmware b config.txt"
FSCK = r"systemd-fsck@dev-disk-by\x2dpartlabel-linetap\x2dboot.service"


def test_a_slot_is_chosen_by_one_sector_in_any_order_of_writes(tmp_path: Path) -> None:
    """config.txt starts one slot or the other after each write, in any order between flushes: it is one sector"""
    with Machine(tmp_path, counted=True) as machine:
        log, first = tmp_path / "writes", tmp_path / "first"
        machine.drive = logged(machine, log)
        machine.boot()
        assert machine.run("systemctl", "show", "-P", "Result", FSCK) == "success"
        assert machine.run("systemctl", "show", "-P", "ActiveState", FSCK) == "active", "before it is mounted"
        machine.run("sh", "-euc", LAY_B)
        seen = len(list(writes(log)))
        first_partition(machine, first)
        texts = {slot: Fat(first).read(name) for slot, name in (("a", "config.txt"), ("b", "b/config.txt"))}
        assert {len(text or b"") for text in texts.values()} == {SECTOR}
        machine.run("sh", "-euc", CHOOSE)
        machine.cut()
        found = list(writes(log))[seen:]
    ours = [write for write in found if BOOT_OFFSET <= write.offset < BOOT_OFFSET + BOOT_BYTES and write.data]
    assert texts["b"] in [write.data for write in ours], "the sector is written by itself"
    assert {len(write.data) for write in ours} == {SECTOR}
    flushes = [at for at, write in enumerate(found) if write.is_flush]
    assert flushes, "the card is never told to flush"
    assert flushes[-1] > found.index(next(write for write in found if write.data == texts["b"]))
    after = [Fat(first).read("config.txt") for _ in states(first, found)]
    assert set(after) == set(texts.values())
    assert after[-1] == texts["b"]
