# SPDX-License-Identifier: Apache-2.0
"""The card's clock chip under the image's kernel and module, in an emulated Pi 3: I2C of QEMU's Pi 4 has no interrupts.

A memory with one-byte addresses replaces the chip: it stores written values, and its time is constant. The chip's own
behaviour is from its manual (image/modules/linetap_rv3028.c); no chip was at hand.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from machine import BOOT_OFFSET, IMAGE, PROJECT

from linetap_core.clock import NS_PER_S, SYSTEM

pytestmark = pytest.mark.hil
TREE = PROJECT / "build/trees/bcm2837-rpi-3-b.dtb"
LIMIT_S = 120
EARLY = "console=ttyAMA1,115200 console=ttyAMA0,115200 earlycon=pl011,mmio32,0x3f201000 loglevel=5 rdinit=/clock"
INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
insmod /i2c-bcm2835.ko
insmod /linetap_rv3028.ko
date -u -s "2034-06-07 08:09:10"
hwclock -w -u -f /dev/rtc0
rmmod linetap_rv3028
date -u -s "1999-01-01 00:00:00"
insmod /linetap_rv3028.ko # the kernel takes its time from the first clock that comes
echo "<1>hil: chip $(cat /sys/class/rtc/rtc0/date) $(cat /sys/class/rtc/rtc0/time)" >/dev/kmsg
echo "<1>hil: kernel $(date -u +%Y-%m-%d)" >/dev/kmsg
sync
echo "<1>hil: over" >/dev/kmsg
sleep 1000
"""


def test_the_clock_chip_keeps_the_time_and_gives_it_to_the_kernel(tmp_path: Path) -> None:
    """an emulated Pi 3: the card's clock chip is set, read, sets the kernel's clock, and is kept by its capacitor"""
    assert TREE.exists(), "tools/kernel_trees.py fetches the trees"
    slot, root = IMAGE.parent / "slot.img", tmp_path / "root"
    wanted = ("kernel/drivers/i2c/busses/i2c-bcm2835.ko", "updates/linetap_rv3028.ko")
    paths = [f"usr/lib/modules/*/{name}" for name in wanted]
    _run("unsquashfs", "-q", "-n", "-no-xattrs", "-d", str(root), str(slot), *paths)
    more = tmp_path / "more"
    more.mkdir()
    (more / "clock").write_text(INIT)
    (more / "clock").chmod(0o755)
    for module in root.rglob("*.ko"):
        (more / module.name).write_bytes(module.read_bytes())
    for path in ("vmlinuz", "initramfs", "overlays/linetap.dtbo"):
        (tmp_path / Path(path).name).write_bytes(_run("mtype", "-i", f"{IMAGE}@@{BOOT_OFFSET}", f"::a/{path}"))
    names = "\n".join(sorted(path.name for path in more.iterdir())).encode()
    pack = ["cpio", "--quiet", "--create", "--format=newc"]
    packed = subprocess.run(pack, cwd=more, input=names, capture_output=True, check=True, timeout=60).stdout
    with (tmp_path / "initramfs").open("ab") as file:
        file.write(bytes(-file.tell() % 4) + packed)
    _run("fdtoverlay", "-i", str(TREE), "-o", str(tmp_path / "tree.dtb"), str(tmp_path / "linetap.dtbo"))
    chip, console = tmp_path / "chip.bin", tmp_path / "console"
    chip.write_bytes(bytes(512))
    files = {name: str(tmp_path / name) for name in ("vmlinuz", "initramfs", "tree.dtb")}
    said = _said_by(
        "qemu-system-aarch64", "-M", "raspi3b", "-display", "none", "-no-reboot", "-serial", f"file:{console}",
        "-kernel", files["vmlinuz"], "-initrd", files["initramfs"], "-dtb", files["tree.dtb"], "-append", EARLY,
        "-drive", f"file={chip},if=none,id=chip,format=raw",
        "-device", "at24c-eeprom,bus=i2c-bus.1,address=0x52,rom-size=512,address-size=1,drive=chip", console=console,
    )  # fmt: skip
    assert "hil: chip 2034-06-07 08:09:10" in said, said[-3000:]
    assert "hil: kernel 2034-06-07" in said
    registers = chip.read_bytes()
    assert registers[0x0F] & 0x08, "the daily refresh from the EEPROM would undo what is set"
    assert registers[0x37] == 0b0011_1100, "charging over 3 kilohms, to the capacitor when the supply is below it"


def _said_by(*command: str, console: Path) -> str:
    """The command's output until it ends, or until a time limit."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as machine:
        try:
            return _until_over(machine, console)
        finally:
            machine.kill()


def _until_over(machine: subprocess.Popen[bytes], console: Path) -> str:
    end_ns, said = SYSTEM.monotonic_ns() + LIMIT_S * NS_PER_S, ""
    while SYSTEM.monotonic_ns() < end_ns and machine.poll() is None:
        said = console.read_text(errors="replace") if console.exists() else ""
        if "hil: over" in said or "Kernel panic" in said:
            break
        SYSTEM.sleep(0.5)
    return said


def _run(*words: str) -> bytes:
    return subprocess.run(words, check=True, capture_output=True, timeout=LIMIT_S).stdout
