# SPDX-License-Identifier: Apache-2.0
"""An emulated Pi 4B that starts from its card: kernel, initramfs, tree, overlays and root are the image's own.

`ABSENT` and `NO_PINS` are missing in QEMU 10.0's raspi4b, and the only removals from its tree. Its card is on the
controller that a real Pi 4 uses for Wi-Fi, with the same driver (hw/arm/bcm2838_peripherals.c and
hw/gpio/bcm2838_gpio.c: the card moves between `sdhci` and `sdhost`; `emmc2`, the card's controller on a real board, has
none).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gdbstub import burn
from machine import COMMAND_S, PROJECT, Machine

from linetap_core.clock import NS_PER_S, SYSTEM

sys.path.insert(0, str(PROJECT / "image"))
from boards import rules
from boards.models import BOARDS

# Its four processors alternate in one thread; an instruction of any of them takes a nanosecond of its time.
BOARD_OPTIONS = ("-M", "raspi4b", "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off")
# Drivers that would access missing registers: the display's, the sensor's.
ABSENT = (
    "interrupt-controller@7ef00100", "hdmi@7ef00700", "hdmi@7ef05700", "i2c@7ef04500", "i2c@7ef09500", "clock@7ef00000",
    "avs-monitor@7d5d2000", "hvs@7e400000", "vec@7ec13000", "txp@7e004000",
)  # fmt: skip
# The firmware's own pins (QEMU does not answer mailbox tag 0x00030043): they switch the supply of the real card slot,
# which therefore waits forever, and reset the radio in the other slot, which is removed.
NO_PINS = ("/soc/mmc@7e300000", "mmc-pwrseq")
WAITING = {"/wifi-pwrseq", "/emmc2-bus@fe000000/mmc@7e340000"}  # only for these pins
# The EEPROM's configuration, which the firmware puts into memory, with its address in the tree (blconfig).
EEPROM = b"[all]\nBOOT_UART=0\nBOOT_ORDER=0xf1\nPOWER_OFF_ON_HALT=0\n"
CONFIG_AT, CONFIG_BYTES, LOADER_S = 0x3A000000, 0x1000, 1_739_293_213
BOARD = BOARDS[0]
REVISION = "c03114"  # a Pi 4B of 4 GB: written by the firmware from its fuses


class Pi(Machine):
    """A Pi with counted time. The tests' agent is on a USB cable.

    `late`: run by the initramfs once the root is mounted, before systemd.
    """

    steady = ""  # its card answers at once
    card_mib = 4096  # QEMU requires a power of two
    # Its watchdog resets at once when started (hw/misc/bcm2835_powermgt.c), so it is disabled. The list of waiting
    # devices is in debugfs, which the image switches off: the last word counts.
    board_words = "console=ttyAMA0,115200 earlycon=pl011,mmio32,0xfe201000 loglevel=6 systemd.watchdog_sec=0 debugfs=on"

    def __init__(self, folder: Path, late: str) -> None:
        super().__init__(folder, counted=True)
        self.late = late
        self.fuses: bytes | None = None  # the key burnt into it (OTP), from its next start on
        self.tree = self._make_tree()
        (folder / "bootconf").write_bytes(EEPROM.ljust(CONFIG_BYTES, b"\0"))

    def start(self) -> None:
        own = self.more
        if self.fuses is not None:
            self.more = [*own, "-S", "-gdb", f"unix:{self.sockets}/gdb,server=on,wait=off"]
        super().start()
        self.more = own
        if self.fuses is not None:
            self._until_qmp("query-status", "it has not begun", "prelaunch")
            burn(self.sockets / "gdb", self.fuses)

    def says(self, words: str, limit_s: int) -> str:
        """The console's output up to these words, or all of it if there is no more."""
        end_ns, said = SYSTEM.monotonic_ns() + limit_s * NS_PER_S, ""
        while SYSTEM.monotonic_ns() < end_ns and self.is_on:
            said = self.console.read_text(errors="replace")
            if words in said or "Kernel panic" in said:
                break
            SYSTEM.sleep(0.5)
        return said

    def _brought(self) -> bytes:
        folder = self.folder / "late"
        (folder / "late").mkdir(parents=True, exist_ok=True)
        (folder / "late/pi").write_text(self.late)
        packed = subprocess.run(
            ["cpio", "--quiet", "--create", "--format=newc", "--owner=0:0"], cwd=folder, input=b"late\nlate/pi\n",
            check=True, capture_output=True, timeout=COMMAND_S,
        ).stdout  # fmt: skip
        return super()._brought() + packed

    def _board(self) -> list[str]:
        return [
            *BOARD_OPTIONS, "-no-reboot", "-dtb", str(self.tree),
            "-drive", f"file={self.card},if=sd,format=raw,cache=unsafe",
            "-device", f"loader,file={self.folder}/bootconf,addr={CONFIG_AT:#x},force-raw=on",
            "-device", "usb-serial,chardev=agent,always-plugged=on",
        ]  # fmt: skip

    def _make_tree(self) -> Path:
        """Makes the firmware's device tree, without missing parts."""
        config = rules.read_config((self.get("config.txt") or b"").decode(), BOARD.filters)
        files = [f"overlays/{name}.dtbo" for name in config.all("dtoverlay")]
        given = []
        for name in (BOARD.tree, *files):
            given.append(self.folder / Path(name).name)
            given[-1].write_bytes(self.get(f"a/{name}") or b"")
        tree = self.folder / "tree.dtb"
        _run("fdtoverlay", "-i", given[0], "-o", tree, *given[1:])
        for node in ABSENT:
            _run("fdtput", "-t", "s", tree, f"/soc/{node}", "status", "disabled")
        _run("fdtput", "-d", tree, *NO_PINS)
        _run("fdtput", "-p", "-t", "x", tree, "/system", "linux,revision", REVISION)  # required by rpi-lgpio
        nvram = (tree, "/reserved-memory/nvram@0")
        _run("fdtput", "-t", "x", *nvram, "reg", "0", f"{CONFIG_AT:x}", f"{CONFIG_BYTES:x}")
        _run("fdtput", "-t", "s", *nvram, "status", "okay")
        _run("fdtput", "-p", "-t", "u", tree, "/chosen/bootloader", "build-timestamp", str(LOADER_S))
        return tree


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)
