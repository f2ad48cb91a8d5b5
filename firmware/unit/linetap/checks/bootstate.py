# SPDX-License-Identifier: Apache-2.0
"""The state of the boot: the two slots on the card (image/root/usr/lib/linetap/slots), the loader in the EEPROM."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from linetap.checks.kernelfiles import bytes_of
from linetap_core.clock import NS_PER_S, rfc3339

EEPROM = "run/linetap-eeprom"  # a line by root: linetap.update.eepromfiles
SLOTS = "run/linetap-slots"  # a line a slot, by root, at each good start and after each scrub
FELL_OFTEN = 3  # failed starts after which the initramfs leaves the slot (image/initramfs/heal.sh)
_LOADER = "proc/device-tree/chosen/bootloader/build-timestamp"  # read by rpi-eeprom-update too; 32 bits, big-endian
_COMPATIBLE = "proc/device-tree/compatible"
_LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot. `falls`: failed starts, if the slot was left for them. `bad`: number of unreadable blocks of its root, or
    1 as a lower bound; `mended`: blocks written again from the other slot since this root was installed.
    """

    name: str
    runs: bool
    falls: int
    bad: int
    mended: int

    @property
    def was_left(self) -> bool:
        return not self.runs and self.falls >= FELL_OFTEN


@dataclass(frozen=True, slots=True)
class Loader:
    """The boot loader in the EEPROM of a Pi. `chip`: bcm2711 or bcm2712; `built_s`: Unix time of its build.
    `starts_signed`: it has started a signed boot.img; the command line of that names no slot. `is_module`: a Compute
    Module, whose ROM runs no recovery.bin from a card or eMMC.
    """

    chip: str
    built_s: int
    starts_signed: bool = False
    is_module: bool = False

    @property
    def built_on(self) -> str:
        return day_of(self.built_s)


@dataclass(frozen=True, slots=True)
class Eeprom:
    """An update of the boot loader. `step`: waiting, trying, done or failed (`code`: why); builds are Unix times."""

    step: str
    before_s: int
    wanted_s: int
    code: str


def day_of(unix_s: int) -> str:
    """The day of a build, by which release notes name a boot loader: 2026-05-17."""
    return rfc3339(unix_s * NS_PER_S)[:10]


def read_eeprom(root: Path) -> Eeprom | None:
    """Returns the update of the boot loader; None: there was none, or it was not examined since the start."""
    line = r"(waiting|trying|done|failed) before=(\d{1,10}) wanted=(\d{1,10})(?: (eeprom_[a-z_]{1,40}))?\n"
    found = re.fullmatch(line, bytes_of(root / EEPROM, _LIMIT_BYTES).decode("ascii", "replace"))
    return Eeprom(found[1], int(found[2]), int(found[3]), found[4] or "") if found else None


def read_slots(root: Path) -> tuple[Slot, ...]:
    """Returns the slots; () on a machine without slots, or before the first start was judged."""
    found = []
    for line in bytes_of(root / SLOTS, _LIMIT_BYTES).decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(" ")
        words = {key: int(value) for key, value in re.findall(r"([a-z]+)=(\d{1,7})\b", rest)}
        if name in ("a", "b") and {"runs", "falls", "bad", "mended"} <= words.keys():
            found.append(Slot(name, words["runs"] == 1, words["falls"], words["bad"], words["mended"]))
    return tuple(found)


def read_loader(root: Path) -> Loader | None:
    """Returns the boot loader; None on a machine other than a Pi 4 or 5."""
    compatible = bytes_of(root / _COMPATIBLE, _LIMIT_BYTES)
    chip = re.search(rb"\bbrcm,(bcm271[12])\0", compatible)
    built = bytes_of(root / _LOADER, _LIMIT_BYTES)
    if chip is None or len(built) != 4:
        return None
    cmdline = bytes_of(root / "proc/cmdline", _LIMIT_BYTES)
    signed = b"linetap.verity=" in cmdline and b"linetap.slot=" not in cmdline
    is_module = re.search(rb"\braspberrypi,\w+-compute-module", compatible) is not None
    return Loader(chip[1].decode(), int.from_bytes(built), signed, is_module)
