# SPDX-License-Identifier: Apache-2.0
"""A Pi with an EEPROM, as files: the boot partition, the kernel's report, and a ROM that handles recovery.bin as
documented.

The behaviour of a real ROM and recovery.bin can only be tested on a board.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from eeprom_file import NEW_S, OLD_S, OURS, RECOVERY, image
from linetap.update import eepromfiles, state
from linetap.update.eeprom import IMAGES, Eeprom
from linetap.update.eepromfiles import EepromState
from linetap.update.eepromimage import EepromImage
from state_files import unit
from update_rig import FakeMachine, Progress


class PowerCut(BaseException):
    """The power was cut at a call of the disk."""


@dataclass
class Rom:
    """`written` is the content of the EEPROM. `takes` False: it reads no recovery.bin from this card."""

    boot: Path
    written: bytes
    takes: bool = True
    works: bool = True
    stuck: str = ""
    runs: int = 0
    cut_after: int | None = None  # bytes of the EEPROM written before the power cut

    @property
    def running(self) -> EepromImage:
        return EepromImage(self.written)

    def power_on(self) -> None:
        """Starts up to the loader in the EEPROM. PowerCut: power failed during its write."""
        switch = self.boot / eepromfiles.RECOVERY
        if not (self.takes and switch.exists()):
            return
        self.runs += 1
        new = (self.boot / eepromfiles.IMAGE).read_bytes()
        told = (self.boot / eepromfiles.SUM).read_text().split("\n")
        if switch.read_bytes() != RECOVERY or told[0] != hashlib.sha256(new).hexdigest():
            self.stuck = "an error pattern of the green LED, for ever"
            return
        if self.cut_after is not None:
            self.written = new[: self.cut_after] + self.written[self.cut_after :]
            self.cut_after = None
            raise PowerCut
        if self.works:
            self.written = new
        switch.rename(self.boot / "RECOVERY.000")


@dataclass
class Pi:
    """`root` has the kernel's files, the boot partition and the version's image; the running version is the one started
    by the ROM.
    """

    root: Path
    chip: str = "bcm2711"
    config: bytes = OURS
    rom: Rom = field(init=False)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.boot = self.root / "boot/firmware"
        self.boot.mkdir(parents=True)
        (self.boot / "config.txt").write_text("os_prefix=a/\nbootloader_update=0\n")
        self.put("proc/mounts", "/dev/mmcblk0p1 /boot/firmware vfat rw 0 0\n")
        self.put("proc/device-tree/chosen/rpi-min-boot-ver", bytes([0, 0, 0, 1]))
        self.model("raspberrypi,4-model-b")
        node = self.root / "sys/firmware/devicetree/base/reserved-memory/nvram@0"
        node.mkdir(parents=True)
        self.put("sys/firmware/devicetree/base/aliases/blconfig", "/reserved-memory/nvram@0\0")
        for number, of_node in enumerate((self.root / "sys", node)):
            device = self.root / f"sys/bus/nvmem/devices/rmem{number}"
            device.mkdir(parents=True)
            (device / "of_node").symlink_to(of_node)
        self.rom = Rom(self.boot, EepromImage(image(self.chip, OLD_S)).with_config(self.config, 1))
        self.bring(image(self.chip, NEW_S))
        self.run_dir = self.root / "unit"
        self.run_dir.mkdir()
        self.clock = Progress(self.run_dir)
        self.unit = unit(self.run_dir, reserve_mb=0)
        self.folder = state.folder_of(self.unit)
        self.folder.mkdir(parents=True)
        (self.root / "run").mkdir()
        self.machine = FakeMachine()
        self.started()

    def model(self, name: str) -> None:
        self.put("proc/device-tree/compatible", f"{name}\0brcm,{self.chip}\0")

    def put(self, name: str, data: bytes | str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def bring(self, data: bytes, recovery: bytes = RECOVERY) -> None:
        """Puts the files into the root of the running version."""
        self.put(f"{IMAGES}/{self.chip}/pieeprom.bin", data)
        self.put(f"{IMAGES}/{self.chip}/recovery.bin", recovery)

    def started(self) -> None:
        """Writes the kernel's report on the started boot loader."""
        running = self.rom.running
        self.put("proc/device-tree/chosen/bootloader/build-timestamp", running.built_s.to_bytes(4))
        self.put("sys/bus/nvmem/devices/rmem1/nvmem", running.config + bytes(7))

    def start(self) -> None:
        """Switches on, and runs the service."""
        self.rom.power_on()
        assert not self.rom.stuck
        self.started()
        Eeprom(self.unit, self.machine, self._restart, self.clock, self.root).run()

    def _restart(self) -> None:
        self.restarts += 1

    @property
    def state(self) -> EepromState:
        found = eepromfiles.load(self.folder)
        assert found is not None
        return found

    @property
    def told(self) -> str:
        return (self.root / "run/linetap-eeprom").read_text().strip()

    def left(self) -> set[str]:
        return set(os.listdir(self.boot)) - {"config.txt"}
