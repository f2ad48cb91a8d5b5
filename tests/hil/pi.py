# SPDX-License-Identifier: Apache-2.0
"""An emulated Pi 4B that starts from its card: kernel, initramfs, tree, overlays and root are the image's own.

`ABSENT` and `NO_PINS` are what QEMU 10.0's raspi4b lacks, and all that is taken out of the tree for it. Its card lies
on the controller that a real Pi 4 has its Wi-Fi on, which has the same driver (hw/arm/bcm2838_peripherals.c and
hw/gpio/bcm2838_gpio.c: the card moves between `sdhci` and `sdhost`; `emmc2`, where a real board has it, gets none).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from machine import BOOT_OFFSET, IMAGE, PROJECT

from linetap_core.clock import NS_PER_S, SYSTEM

sys.path.insert(0, str(PROJECT / "image"))
from boards import rules
from boards.models import BOARDS

# Drivers that would fall over registers that are not there: the display's, the sensor's.
ABSENT = (
    "interrupt-controller@7ef00100", "hdmi@7ef00700", "hdmi@7ef05700", "i2c@7ef04500", "i2c@7ef09500", "clock@7ef00000",
    "avs-monitor@7d5d2000", "hvs@7e400000", "vec@7ec13000", "txp@7e004000",
)  # fmt: skip
# The firmware's own pins (mailbox tag 0x00030043 is not answered): they switch the supply of the real card slot, which
# therefore waits for ever, and hold the other slot's radio in reset, which is taken out.
NO_PINS = ("/soc/mmc@7e300000", "mmc-pwrseq")
WAITING = {"/wifi-pwrseq", "/emmc2-bus@fe000000/mmc@7e340000"}  # for these pins, and for nothing else
# The EEPROM's configuration, which the firmware leaves in memory, and says where in the tree (blconfig).
CONFIG = b"[all]\nBOOT_UART=0\nBOOT_ORDER=0xf1\nPOWER_OFF_ON_HALT=0\n"
CONFIG_AT, CONFIG_BYTES, LOADER_S = 0x3A000000, 0x1000, 1_739_293_213
CARD_MIB = 2048  # a power of two, as QEMU's card wants it
# Its watchdog resets as soon as it is started (hw/misc/bcm2835_powermgt.c): nobody starts it.
EARLY = "console=ttyAMA0,115200 earlycon=pl011,mmio32,0xfe201000 loglevel=6 systemd.watchdog_sec=0"
BOARD = BOARDS[0]


class Pi:
    """`late`: run by the initramfs once the root is mounted, before systemd. Ended by its pid when it is left."""

    def __init__(self, folder: Path, late: str) -> None:
        self._folder, self.card, self.console = folder, folder / "card.img", folder / "console.log"
        subprocess.run(["cp", "--sparse=always", IMAGE, self.card], check=True, timeout=120)
        os.truncate(self.card, CARD_MIB << 20)
        self.tree = self._tree()
        for name in ("vmlinuz", "initramfs", "cmdline.txt"):
            (folder / name).write_bytes(self._read(f"a/{name}"))
        _append(folder / "initramfs", late)
        (folder / "bootconf").write_bytes(CONFIG.ljust(CONFIG_BYTES, b"\0"))
        told = (folder / "cmdline.txt").read_text().strip()
        self._command = [
            "qemu-system-aarch64", "-M", "raspi4b", "-display", "none", "-no-reboot", "-nic", "none",
            "-serial", f"file:{self.console}", "-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initramfs"),
            "-device", f"loader,file={folder}/bootconf,addr={CONFIG_AT:#x},force-raw=on",
            "-dtb", str(self.tree), "-drive", f"file={self.card},if=sd,format=raw", "-append", f"{told} {EARLY}",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with (self._folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def until(self, words: str, limit_s: int) -> str:
        """What the console has said when these words stand in it, or when nothing more comes of it."""
        end_ns, said = SYSTEM.monotonic_ns() + limit_s * NS_PER_S, ""
        while SYSTEM.monotonic_ns() < end_ns and self._process is not None and self._process.poll() is None:
            said = self.console.read_text(errors="replace") if self.console.exists() else ""
            if words in said or "Kernel panic" in said:
                break
            SYSTEM.sleep(0.5)
        return said

    def _read(self, name: str) -> bytes:
        command = ["mtype", "-i", f"{self.card}@@{BOOT_OFFSET}", f"::{name}"]
        return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout

    def _tree(self) -> Path:
        """As the firmware makes it, less what is not there."""
        config = rules.read_config(self._read("config.txt").decode(), BOARD.filters)
        files = [f"overlays/{name}.dtbo" for name in config.all("dtoverlay")]
        for name in (BOARD.tree, *files):
            (self._folder / Path(name).name).write_bytes(self._read(f"a/{name}"))
        tree = self._folder / "tree.dtb"
        given = [str(self._folder / Path(name).name) for name in (BOARD.tree, *files)]
        _run("fdtoverlay", "-i", given[0], "-o", str(tree), *given[1:])
        for node in ABSENT:
            _run("fdtput", "-t", "s", str(tree), f"/soc/{node}", "status", "disabled")
        _run("fdtput", "-d", str(tree), *NO_PINS)
        nvram = (str(tree), "/reserved-memory/nvram@0")
        _run("fdtput", "-t", "x", *nvram, "reg", "0", f"{CONFIG_AT:x}", f"{CONFIG_BYTES:x}")
        _run("fdtput", "-t", "s", *nvram, "status", "okay")
        _run("fdtput", "-p", "-t", "u", str(tree), "/chosen/bootloader", "build-timestamp", str(LOADER_S))
        return tree


def _append(initramfs: Path, late: str) -> None:
    """A second archive behind the image's own."""
    folder = initramfs.parent / "late"
    (folder / "late").mkdir(parents=True)
    (folder / "late/hil").write_text(late)
    packed = subprocess.run(
        ["cpio", "--quiet", "--create", "--format=newc", "--owner=0:0"], cwd=folder, input=b"late\nlate/hil\n",
        check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip
    with initramfs.open("ab") as file:
        file.write(bytes(-file.tell() % 4) + packed)
    shutil.rmtree(folder)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)
