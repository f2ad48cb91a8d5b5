# SPDX-License-Identifier: Apache-2.0
"""The choice of the unit's card if a second one with the same names is in a reader: the initramfs's own script over a
/sys of links, and its rules for udev.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "image/initramfs/disk.sh"
CARD = "devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0"
DRIVE = "devices/platform/scb/fd500000.pcie/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1"
READER = "devices/platform/scb/fd500000.pcie/pci0000:00/usb2/2-1/2-1:1.0/host0/target0:0:0/0:0:0:0/block/sda"
NAMES = ("boot", "a", "b", "state", "data")
LIMIT_S = 60


def plug(sys: Path, disk: str, names: tuple[str, ...] = NAMES) -> None:
    (sys / "class/block").mkdir(parents=True, exist_ok=True)
    joint = "p" if disk[-1].isdigit() else ""
    for number, name in enumerate(names, 1):
        part = sys / disk / f"{Path(disk).name}{joint}{number}"
        part.mkdir(parents=True)
        (part / "uevent").write_text(f"DEVTYPE=partition\nPARTN={number}\nPARTNAME=linetap-{name}\n")
        (sys / "class/block" / part.name).symlink_to(part)


def ask(sys: Path, then: str) -> str:
    """The script's answer, without waiting: `sleep` is the next tenth of a second."""
    script = f"sleep() {{ :; }}; . {SCRIPT}; {then}"
    done = subprocess.run(
        ["busybox", "sh", "-uc", script],
        env=os.environ | {"SYS": str(sys)}, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout.strip()


ROOT = "root=$(device_of a) && keep_to_disk_of $root && echo $root $(device_of boot) $(device_of state)"


@pytest.mark.parametrize(("disk", "found"), [
    (CARD, "/dev/mmcblk0p2 /dev/mmcblk0p1 /dev/mmcblk0p4"), (DRIVE, "/dev/nvme0n1p2 /dev/nvme0n1p1 /dev/nvme0n1p4"),
])  # fmt: skip
def test_a_card_in_a_reader_is_not_the_units(tmp_path: Path, disk: str, found: str) -> None:
    plug(tmp_path, READER)
    plug(tmp_path, disk)
    assert ask(tmp_path, ROOT) == found


def test_a_unit_that_starts_from_usb_does(tmp_path: Path) -> None:
    plug(tmp_path, READER)
    assert ask(tmp_path, ROOT) == "/dev/sda2 /dev/sda1 /dev/sda4"


MODES = {CARD: 1, READER: 4, DRIVE: 6}  # BOOT_ORDER's: raspberrypi/documentation, raspberry-pi/eeprom-bootloader.adoc


@pytest.mark.parametrize(("started", "beside"), [(a, b) for a in MODES for b in MODES if a != b])
def test_of_two_disks_the_firmwares_is_the_units(tmp_path: Path, started: str, beside: str) -> None:
    """The kernel is the started disk's, and so must be root, key and calls."""
    mode = tmp_path / "tree/chosen/bootloader/boot-mode"
    mode.parent.mkdir(parents=True)
    mode.write_bytes(MODES[started].to_bytes(4, "big"))
    plug(tmp_path, beside)
    plug(tmp_path, started)
    joint = "p" if started[-1].isdigit() else ""
    assert ask(tmp_path, f"TREE={tmp_path}/tree; device_of a") == f"/dev/{Path(started).name}{joint}2"


def test_another_disk_than_the_firmwares_is_used_if_it_is_the_only_one(tmp_path: Path) -> None:
    mode = tmp_path / "tree/chosen/bootloader/boot-mode"
    mode.parent.mkdir(parents=True)
    mode.write_bytes((6).to_bytes(4, "big"))
    plug(tmp_path, CARD)
    counts = f"TREE={tmp_path}/tree; sleep() {{ echo $1; }}; device_of a"
    assert ask(tmp_path, counts).splitlines() == ["0.1"] * 30 + ["/dev/mmcblk0p2"]
    mode.write_bytes((2).to_bytes(4, "big"))
    assert ask(tmp_path, counts) == "/dev/mmcblk0p2", "the network: nothing is known"


def test_one_card_is_one_unit(tmp_path: Path) -> None:
    """A missing partition is not replaced by another card's."""
    plug(tmp_path, CARD, ("boot", "a", "b"))
    plug(tmp_path, READER)
    plug(tmp_path, DRIVE.replace("nvme0", "nvme1"))
    told = ask(tmp_path, f"keep_to_disk_of /dev/mmcblk0p2; device_of state || echo none; {ROOT.replace('state', 'b')}")
    assert told == "none\n/dev/mmcblk0p2 /dev/mmcblk0p1 /dev/mmcblk0p3"


@pytest.mark.parametrize("late", [CARD, DRIVE])
def test_a_card_that_comes_after_the_reader_is_waited_for(tmp_path: Path, late: str) -> None:
    plug(tmp_path, READER)
    plug(tmp_path / "late", late)
    comes = f"for each in {tmp_path}/late/class/block/*; do ln -sf $(readlink $each) {tmp_path}/class/block/; done"
    sleeps = f"sleep() {{ slept=$((slept + 1)); [ $slept -ne 20 ] || {{ {comes}; }}; }}; slept=0; "
    assert ask(tmp_path, sleeps + "device_of a") == f"/dev/{Path(late).name}p2"


def test_a_partition_that_is_missing_costs_two_seconds(tmp_path: Path) -> None:
    """A start without a boot partition looks for it many times."""
    plug(tmp_path, CARD, ("a",))
    counts = "sleep() { echo $1; }; "
    assert ask(tmp_path, counts + "keep_to_disk_of /dev/mmcblk0p1; device_of boot || :").count("0.1") == 20
    assert ask(tmp_path, counts + "device_of boot || :").count("0.1") == 300


def test_what_is_left_for_udev_is_a_rule(tmp_path: Path) -> None:
    plug(tmp_path, CARD)
    ask(tmp_path, f"keep_to_disk_of /dev/mmcblk0p2; tell_udev {tmp_path}/rules.d")
    rules = tmp_path / "rules.d/59-linetap-disk.rules"
    assert re.findall(r'KERNELS=="(.*?)"', rules.read_text()) == ["mmcblk0"]
    if shutil.which("udevadm") is None:
        pytest.skip("no udevadm here, which verifies rules")
    done = subprocess.run(["udevadm", "verify", rules], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
