# SPDX-License-Identifier: Apache-2.0
"""A card that decays, under the image's own dm-verity: repaired from the other slot, or left for it, and reported on
the card.

tests/update/test_slot_left.py tests the decisions of a start; this tests the kernel's part. `unit_of_two` is one
machine, used from test to test.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import BOOT_OFFSET, COMMAND_S, Machine, partition

pytestmark = pytest.mark.hil
MIB, BLOCK = 1 << 20, 4096
HEALS_S = 600  # an emulated processor reads a root three times
NOTE = "linetap-boot.txt"


def rot(machine: Machine, slot: str, at: int, blocks: int = 3) -> None:
    with machine.card.open("r+b") as card:
        card.seek(partition(machine.card, f"linetap-{slot}")[0] + at)
        card.write(b"\xa5" * BLOCK * blocks)


def root_of(machine: Machine, slot: str) -> bytes:
    """The part of a slot's root that is compared."""
    blocks = int(re.findall(r"linetap\.verity=(\d+):", (machine.get("a/cmdline.txt") or b"").decode())[0])
    with machine.card.open("rb") as card:
        card.seek(partition(machine.card, f"linetap-{slot}")[0])
        return card.read(blocks * BLOCK)


def copy_to_b(machine: Machine) -> None:
    """Copies the root to slot b, as the unit does by itself a quarter of an hour after its first good start."""
    root, at = root_of(machine, "a"), partition(machine.card, "linetap-b")[0]
    size = MIB * 2  # and its hash tree
    with machine.card.open("r+b") as card:
        card.seek(partition(machine.card, "linetap-a")[0] + len(root))
        tree = card.read(size)
        card.seek(at)
        card.write(root + tree)
    place = f"{machine.card}@@{BOOT_OFFSET}"
    folder = machine.folder / "a"
    subprocess.run(["mcopy", "-s", "-n", "-i", place, "::a", machine.folder], check=True, timeout=COMMAND_S)
    for name, old, new in (("cmdline.txt", "slot=a", "slot=b"), ("config.txt", "os_prefix=a/", "os_prefix=b/")):
        (folder / name).write_text((folder / name).read_text().replace(old, new))
    subprocess.run(["mdeltree", "-i", place, "::b"], check=False, capture_output=True, timeout=COMMAND_S)
    subprocess.run(
        ["mcopy", "-s", "-n", "-i", place, folder.rename(machine.folder / "b"), "::"], check=True, timeout=COMMAND_S
    )


def ends(machine: Machine) -> str:
    """Switches on until it restarts by itself; returns its output."""
    machine.start()
    assert machine.ended(HEALS_S), machine.log_tail()
    return machine.log_tail(60)


def comes_up(machine: Machine) -> None:
    machine.start()
    machine.wait(HEALS_S)


def slot(machine: Machine) -> str:
    return machine.run("/usr/lib/linetap/slots", "get-current")


def mark_good(machine: Machine) -> None:
    """Marks the slot as good, as the unit does a minute after power-on. RAUC is ready when its D-Bus name is."""
    machine.until(lambda: machine.run("rauc", "status", "mark-good", "booted"), "the slot is marked good")


def test_first_blocks_that_rot_are_mended(machine: Machine) -> None:
    """a slot whose first blocks rot: one start ends, the next repairs it from the same root in the other slot"""
    copy_to_b(machine)
    before = root_of(machine, "a")
    rot(machine, "a", 0)
    assert "Slot a" in (ends(machine) and (machine.get(NOTE) or b"").decode())
    comes_up(machine)
    assert slot(machine) == "a"
    mark_good(machine)
    assert "linetap-boot-past.txt" in machine.run("ls", "/boot/firmware")
    machine.run("/usr/lib/linetap/slots", "report")
    assert "a runs=1 good=1 falls=0 bad=0 mended=3" in machine.run("cat", "/run/linetap-slots")
    machine.off()
    assert root_of(machine, "a") == before


def test_both_slots_rot(machine: Machine) -> None:
    """both slots rot in the first blocks: each start is told on the card, and none follows at once"""
    copy_to_b(machine)
    for name in "ab":
        rot(machine, name, 0)
    for n in (1, 2):
        ends(machine)
        text = (machine.get(NOTE) or b"").decode()
        assert f"슬롯 a, {n}번째 시작" in text
        assert "To do: leave the power on" in text


@pytest.fixture(scope="module")
def unit_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("two")) as machine:
        yield machine


def test_a_new_unit_gets_both_slots(unit_of_two: Machine) -> None:
    """a new unit writes its root into the empty slot by itself"""
    machine = unit_of_two
    machine.boot()
    assert machine.get("b/config.txt") is None
    mark_good(machine)
    machine.run("systemctl", "start", "linetap_scrub.service", limit_s=HEALS_S)
    machine.off()
    assert root_of(machine, "b") == root_of(machine, "a")
    config = (machine.get("b/config.txt") or b"").decode()
    assert "os_prefix=b/\n" in config
    assert "start_file=start4b.elf\n" in config
    assert machine.get("start4b.elf") == machine.get("start4a.elf")
    machine.put("config.txt", config.encode())


def test_the_first_partition_table_rots(unit_of_two: Machine) -> None:
    """one bad bit in the first partition table: the other slot starts by the second one, with all that it keeps"""
    with rotten_table(unit_of_two.card):
        unit_of_two.boot()
        assert slot(unit_of_two) == "b"
        assert "/state ext4" in unit_of_two.run("cat", "/proc/mounts")


def test_a_block_that_rots_in_service_costs_one_start(unit_of_two: Machine) -> None:
    """a block that rots in service: a panic, and the next start repairs it; nothing of it is left"""
    machine = unit_of_two
    mark_good(machine)
    offset = partition(machine.card, "linetap-b")[0]
    middle = len(root_of(machine, "b")) // 2 // BLOCK * BLOCK
    with machine.card.open("r+b") as card:  # under the running machine
        card.seek(offset + middle)
        card.write(b"\xa5" * BLOCK)
    read = ("dd", "if=/dev/dm-0", "of=/dev/null", "bs=4096", f"skip={middle // BLOCK}", "count=1", "iflag=direct")
    machine.run("systemd-run", *read, check=False)
    assert machine.ended(COMMAND_S), machine.log_tail()
    assert "dm-verity device corrupted" in machine.log_tail(60)
    comes_up(machine)
    assert "1 blocks were written again from slot a" in machine.console.read_text(errors="replace")
    machine.run(*read)


@contextlib.contextmanager
def rotten_table(card: Path) -> Iterator[None]:
    """Damages the table. The first start has moved the second table to the card's end, where the kernel finds it."""
    flip(card, 512 + 16)  # the header's own checksum
    yield
    flip(card, 512 + 16)


def flip(card: Path, at: int) -> None:
    with card.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))
