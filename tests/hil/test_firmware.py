# SPDX-License-Identifier: Apache-2.0
"""An emulated Pi 4: only the one word makes a reboot request a try from the firmware.

The root is not started (test_pi_boots.py starts it): kernel, device tree and module are the image's, and so is the
systemctl that passes the word. QEMU logs requests to the firmware that it does not know.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from machine import IMAGE
from pi import ABSENT, BOARD_OPTIONS

from linetap_core.clock import NS_PER_S, SYSTEM

pytestmark = [pytest.mark.hil, pytest.mark.quick]
LIMIT_S = 600  # for a hanging machine: speed is not judged here
EARLY = "earlycon=pl011,mmio32,0xfe201000"  # without it this kernel prints nothing on QEMU's Pi
FLAGS_TAG = "unhandled tag 0x00038064"
INIT = b"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir -p /run/systemd # systemctl keeps the word there
/bin/busybox insmod /usr/lib/modules/*/updates/linetap_tryboot.ko
words=$(/bin/busybox sed 's/.*word=//;s/_/ /' /proc/cmdline)
exec /usr/bin/systemctl -ff --reboot-argument="$words" reboot 2>/dev/kmsg
"""


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vmlinuz, tree.dtb and initramfs of the image's own."""
    folder = tmp_path_factory.mktemp("pi")
    slot, root = IMAGE.parent / "slot.img", folder / "root"
    wanted = ("usr/bin/systemctl", "usr/bin/busybox", "usr/lib/aarch64-linux-gnu", "usr/lib/ld-linux-aarch64.so.1",
              "usr/lib/linetap/boot", "usr/lib/modules/*/updates")  # fmt: skip
    _run("unsquashfs", "-q", "-n", "-no-xattrs", "-d", root, slot, *wanted)
    boot = root / "usr/lib/linetap/boot"
    for name, where in {"vmlinuz": "vmlinuz", "tree.dtb": "bcm2711-rpi-4-b.dtb", "start": "initramfs"}.items():
        shutil.move(boot / where, folder / name)
    shutil.rmtree(boot)
    for node in ABSENT:
        _run("fdtput", "-t", "s", folder / "tree.dtb", f"/soc/{node}", "status", "disabled")
    with (folder / "start").open("rb") as packed:  # busybox from the image's own initramfs
        unpacked = subprocess.run(["zstd", "-dc"], stdin=packed, capture_output=True, check=True, timeout=LIMIT_S)
    subprocess.run(
        ["cpio", "--quiet", "-id", "bin/busybox"], cwd=root, input=unpacked.stdout, check=True, timeout=LIMIT_S
    )
    for name in ("proc", "sys", "dev", "lib"):
        (root / name).mkdir(exist_ok=True)
    (root / "lib").rmdir()
    (root / "lib").symlink_to("usr/lib")
    (root / "init").write_bytes(INIT)
    (root / "init").chmod(0o755)
    listed = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True, timeout=LIMIT_S)
    with (folder / "initramfs").open("wb") as out:
        command = ["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=0:0"]
        subprocess.run(command, cwd=root, input=listed.stdout, stdout=out, check=True, timeout=LIMIT_S)
    return folder


@pytest.mark.parametrize(("words", "asked"), [("0_tryboot", True), ("0_other", False)])
def test_the_firmware_of_a_pi_is_asked_for_a_try(pi: Path, words: str, asked: bool) -> None:
    """an emulated Pi 4: a reboot with the word tryboot tells the firmware, one without it does not"""
    console, log = pi / f"{words}.console", pi / f"{words}.log"
    command: list[str | Path] = [
        "qemu-system-aarch64", *BOARD_OPTIONS, "-display", "none", "-no-reboot", "-serial", f"file:{console}",
        "-kernel", pi / "vmlinuz", "-initrd", pi / "initramfs", "-dtb", pi / "tree.dtb", "-d", "unimp", "-D", log,
        "-append", f"console=ttyAMA1,115200 console=ttyAMA0,115200 {EARLY} loglevel=7 rdinit=/init word={words}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as machine:
        try:
            said = _until_over(machine, console)
        finally:
            machine.kill()
    assert f"Restarting system with command '{words.replace('_', ' ')}'" in said, said[-2000:]
    assert (FLAGS_TAG in log.read_text()) == asked
    assert ("linetap_tryboot: the next start is from tryboot.txt" in said) == asked


def _until_over(machine: subprocess.Popen[bytes], console: Path) -> str:
    """The console's output until the reset, at which QEMU's Pi does not end: its kernel reports a halt."""
    end_ns = SYSTEM.monotonic_ns() + LIMIT_S * NS_PER_S
    said = ""
    while SYSTEM.monotonic_ns() < end_ns and machine.poll() is None:
        said = console.read_text(errors="replace") if console.exists() else ""
        if "Restarting system" in said or "Kernel panic" in said:
            break
        SYSTEM.sleep(0.5)
    return said


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=LIMIT_S)
