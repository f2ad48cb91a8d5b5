# SPDX-License-Identifier: Apache-2.0
"""Reading a machine from trees of files: a Pi's, a virtual machine's, and those of a driver that fails."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from linetap.cardresult import Encryption, write_encryption
from linetap.checks import machine
from linetap.checks.bootstate import Loader, Slot
from linetap.checks.machine import DIP_S, EVERY_S, FIND_EVERY_S, LOST, Machine, MachineWatch, Mount, Wear, mount_of
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.records import KeyHolder
from machine_rig import PI, THROTTLED, VENDORS_THROTTLED, VOLTAGE, lay


def read_machine(root: Path) -> Machine:
    return machine.read_machine(root, machine.find_files(root))


def test_a_pi(tmp_path: Path) -> None:
    assert read_machine(lay(tmp_path, PI)) == Machine(
        temperature_c=48.312, under_voltage=False, throttled=0x50005, memory_total_kb=3882988,
        memory_available_kb=3301540, stalled_percent=2.5, disk_errors={"mmcblk0p2": 0, "mmcblk0p3": 7},
        disks={"mmcblk0": Wear(110, 2)}, foreign_files=0,
        slots=(Slot("a", True, 0, 0, 4), Slot("b", False, 3, 0, 0)), loader=Loader("bcm2711", 0x67000000),
    )  # fmt: skip


def test_a_state_partition_that_took_no_write_is_known(tmp_path: Path) -> None:
    """image/initramfs/keep.sh writes the file; see tests/image/test_keep.py."""
    assert read_machine(lay(tmp_path, {machine.READ_ONLY: ""})).state_read_only


@pytest.mark.parametrize("held_by", ["tpm", "otp"])
def test_what_holds_the_cards_key_is_known(tmp_path: Path, held_by: KeyHolder) -> None:
    (tmp_path / "run").mkdir()
    write_encryption(tmp_path / "run", Encryption("sealed", "", 3, held_by))
    assert read_machine(tmp_path).card_key == held_by


def test_where_there_is_nothing_nothing_is_reported(tmp_path: Path) -> None:
    assert read_machine(tmp_path) == Machine()
    assert Machine().is_slowed is None


@pytest.mark.parametrize("name", [THROTTLED, VENDORS_THROTTLED])
def test_the_firmware_says_it_where_there_is_no_driver(tmp_path: Path, name: str) -> None:
    lay(tmp_path, {name: "50005\n"})
    assert (read_machine(tmp_path).under_voltage, read_machine(tmp_path).is_slowed) == (True, True)
    lay(tmp_path, {name: "50000\n"})
    assert (read_machine(tmp_path).under_voltage, read_machine(tmp_path).is_slowed) == (False, False)


def test_the_driver_is_believed_over_the_firmware(tmp_path: Path) -> None:
    assert read_machine(lay(tmp_path, PI | {VOLTAGE: "1\n", THROTTLED: "0\n"})).under_voltage is True


@pytest.mark.parametrize("name", sorted(PI))
def test_a_file_of_nonsense_is_as_good_as_none(tmp_path: Path, name: str) -> None:
    dice = random.Random(name)
    for text in ("", "\n", "-", "0x", "none\n", "\x00\xff", "".join(map(chr, dice.choices(range(128), k=5000)))):
        read_machine(lay(tmp_path, PI | {name: text}))
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()  # unreadable, like the file of a driver that fails
    read_machine(tmp_path)


def test_the_machine_is_read_once_a_second_and_a_dip_is_remembered(tmp_path: Path) -> None:
    clock = ManualClock(monotonic_ns=NS_PER_S)
    watch = MachineWatch(clock, lay(tmp_path, PI))
    assert watch.read().under_voltage is False
    lay(tmp_path, {VOLTAGE: "1\n"})
    assert watch.read().under_voltage is False
    clock.advance(EVERY_S * NS_PER_S)
    assert watch.read().under_voltage is True
    lay(tmp_path, {VOLTAGE: "0\n"})
    clock.advance(DIP_S * NS_PER_S - 1)
    assert watch.read().under_voltage is True
    clock.advance(EVERY_S * NS_PER_S)
    assert watch.read().under_voltage is False


def test_a_disk_that_comes_later_is_found(tmp_path: Path) -> None:
    clock = ManualClock(monotonic_ns=NS_PER_S)
    watch = MachineWatch(clock, tmp_path)
    assert watch.read() == Machine()
    lay(tmp_path, {"sys/fs/ext4/sda1/errors_count": "1\n"})
    clock.advance(FIND_EVERY_S * NS_PER_S)
    assert watch.read().disk_errors == {"sda1": 1}


ROOT_LINE = "22 1 179:2 / / rw,relatime shared:1 - ext4 /dev/mmcblk0p2 rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "expected"),
    [
        pytest.param(ROOT_LINE, False, id="on the root"),
        pytest.param(ROOT_LINE + "30 22 179:3 / /vault rw - ext4 /dev/x ro,errors=remount-ro\n", True, id="ro"),
        pytest.param(ROOT_LINE + "30 22 179:3 / /vault rw - ext4 /dev/x rw,emergency_ro\n", True, id="emergency_ro"),
        pytest.param(ROOT_LINE + "30 22 179:3 / /vault rw - ext4 /dev/x rw,shutdown\n", True, id="shutdown"),
        pytest.param(ROOT_LINE + "30 22 179:3 / /vault ro,nosuid - ext4 /dev/x rw\n", False, id="a sandbox's own ro"),
        pytest.param(ROOT_LINE + "30 22 179:3 / /vaults rw - ext4 /dev/x ro\n", False, id="a neighbour's name"),
        pytest.param(
            ROOT_LINE + "30 22 0:1 / /vault rw - ext4 /dev/x ro\n31 30 0:2 / /vault rw - ext4 /dev/y rw\n", False,
            id="the later one lies on top",
        ),
        pytest.param("22 1 0:2 / / rw - ext4 /dev/y rw,emergency_rot\n", False, id="another option"),
        pytest.param("", None, id="nothing is mounted"),
        pytest.param("22 1 0:2 /\n - \n22 1 0:2 / /vault rw - ext4\n", None, id="lines cut short"),
    ],
)  # fmt: skip
def test_whether_the_vault_takes_anything(tmp_path: Path, mountinfo: str, expected: bool | None) -> None:
    found = mount_of(Path("/vault/2026"), lay(tmp_path, {"proc/self/mountinfo": mountinfo}))
    assert found == (None if expected is None else Mount(read_only=expected))


def test_ram_in_the_place_of_a_partition(tmp_path: Path) -> None:
    line = f"30 22 0:9 / /vault rw - tmpfs {LOST} rw,size=400m\n"
    assert mount_of(Path("/vault"), lay(tmp_path, {"proc/self/mountinfo": ROOT_LINE + line})) == Mount(lost=True)


def test_a_mount_point_with_a_blank(tmp_path: Path) -> None:
    line = "30 22 0:3 / /the\\040vault rw - ext4 /dev/x ro\n"
    found = mount_of(Path("/the vault"), lay(tmp_path, {"proc/self/mountinfo": ROOT_LINE + line}))
    assert found == Mount(read_only=True)


def test_without_mountinfo_nobody_knows(tmp_path: Path) -> None:
    assert mount_of(Path("/vault"), tmp_path) is None


def test_the_machine_that_this_runs_on_can_be_read() -> None:
    assert read_machine(Path("/")).memory_total_kb
    assert mount_of(Path("/dev/shm"), Path("/")) == Mount()
