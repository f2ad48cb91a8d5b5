# SPDX-License-Identifier: Apache-2.0
"""Finds a device's driver in a kernel: a module, by modules.alias, or the kernel itself.

The kernel's own drivers are in modules.builtin.modinfo; matches without a driver (interrupt controllers, clocks, buses)
are found by their table entries in the image: struct of_device_id is char name[32], type[32], compatible[128].

Before 6.18 the aliases of built-in drivers were not recorded (include/linux/module.h: MODULE_DEVICE_TABLE was empty).
Then nodes are only looked up in the image, and enumerated devices by the name of their driver in modules.builtin
(`DRIVERS`): Raspberry Pi's 6.12 has nearly all of these built in.
"""

from __future__ import annotations

import gzip
import re
from collections import defaultdict
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

from boards.tree import Node

BUILTIN = "the kernel"
_BEFORE, _COMPATIBLE = bytes(64), 128
_TREE = re.compile(r"of:N\*T\*C(.*?)(C?\*)?")  # each compatible of a tree is listed twice: alone, and before others
_PCI = re.compile(r"pci([0-9a-f]{1,4}),([0-9a-f]{1,4})")  # of a node below a PCI bus, IEEE 1275 PCI binding 2.2.4
DRIVERS = {
    "mmc:block": "mmc_block", "scsi:t-0x00": "sd_mod", "auxiliary:reset.gpio": "reset_gpio",
    "pci:v00001106d00003483sv00001106sd00003483bc0Csc03i30": "xhci_pci",
    "pci:v0000144Dd0000A80Asv0000144Dsd0000A801bc01sc08i02": "nvme",
    "platform:xhci-hcd": "xhci_plat_hcd", "usb:v0781p5583d0100dc00dsc00dp00ic08isc06ip50in00": "usb_storage",
    "platform:bcm2835-wdt": "bcm2835_wdt", "mdio:01100000000011011000010010100010": "broadcom",
    "mdio:01100000000011011000010010100000": "broadcom", "sdio:c00v02D0dA9A6": "brcmfmac",
    "sdio:c00v02D0dA9BF": "brcmfmac", "usb:v0D8Cp0014d0100dc00dsc00dp00ic01isc01ip00in00": "snd_usb_audio",
    "platform:raspberrypi-cpufreq": "raspberrypi_cpufreq", "amba:d00041011": "amba_pl011",
}  # fmt: skip
NO_DRIVERS = ("linetap_throttled", "linetap_tryboot")  # loaded on a Pi's firmware, without a device
_PL011 = 0x00041011  # the identification of an ARM PL011 whose node has none; drivers/tty/serial/amba-pl011.c


@dataclass(slots=True)
class Kernel:
    """A kernel's drivers. `named`: drivers of a compatible; `others`: pattern and driver of aliases of other buses, by
    their first word; `image`: the unpacked kernel; `built`: names of its built-in drivers; `resets_by_pin`: built with
    CONFIG_RESET_GPIO, without which drivers switch such a pin themselves (drivers/reset/core.c).
    """

    named: dict[str, tuple[str, ...]]
    others: dict[str, list[tuple[re.Pattern[str], str]]]
    image: bytes
    built: frozenset[str] = frozenset()
    resets_by_pin: bool = True
    _found: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def takers(self, device: Node) -> tuple[str, ...]:
        """The drivers of a node; empty if there is none."""
        found: tuple[str, ...] = ()
        for name in device.compatible:
            found += self.named.get(name, ())
            if pci := _PCI.fullmatch(name):
                vendor, model = (int(part, 16) for part in pci.groups())
                found += self.for_alias(f"pci:v{vendor:08X}d{model:08X}sv00000000sd00000000bc00sc00i00")
            if name == "arm,primecell":  # such a device is matched by the number in its registers, not by its name
                found += self.for_alias(f"amba:d{device.cell('arm,primecell-periphid', _PL011):08X}")
        for name in () if found else device.compatible:  # an entry in the image may also be another driver's exception
            found += self._in_image(name)
        return tuple(dict.fromkeys(found))

    def for_alias(self, alias: str) -> tuple[str, ...]:
        """The drivers that the kernel would load for the alias of an enumerated device."""
        if alias not in self._found:
            pairs = self.others.get(alias.partition(":")[0], [])
            found = tuple(dict.fromkeys(taker for pattern, taker in pairs if pattern.match(alias)))
            self._found[alias] = found or ((BUILTIN,) if DRIVERS.get(alias) in self.built else ())
        return self._found[alias]

    def _in_image(self, name: str) -> tuple[str, ...]:
        if name not in self._found:
            entry = _BEFORE + name.encode().ljust(_COMPATIBLE, b"\0")
            self._found[name] = (BUILTIN,) if entry in self.image else ()
        return self._found[name]


def read_kernel(modules: Path, image: Path) -> Kernel:
    """Reads a kernel. `modules` is /lib/modules/VERSION after depmod, `image` the kernel that starts."""
    pairs = []
    for line in (modules / "modules.alias").read_text().splitlines():
        if line.startswith("alias "):
            pattern, _, module = line.removeprefix("alias ").rpartition(" ")
            if module not in NO_DRIVERS:
                pairs.append((pattern, module))
    for entry in (modules / "modules.builtin.modinfo").read_bytes().split(b"\0"):
        _, found, pattern = entry.decode(errors="replace").partition(".alias=")
        if found:
            pairs.append((pattern, BUILTIN))
    packed = image.read_bytes()
    names = (modules / "modules.builtin").read_text().splitlines() if (modules / "modules.builtin").exists() else []
    built = frozenset(Path(name).stem.replace("-", "_") for name in names)
    kernel = kernel_of(pairs, gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed, built)
    if (modules / "config").exists():
        kernel.resets_by_pin = "\nCONFIG_RESET_GPIO=" in (modules / "config").read_text()
    return kernel


def kernel_of(pairs: list[tuple[str, str]], image: bytes, built: frozenset[str] = frozenset()) -> Kernel:
    """A kernel from pairs of alias pattern and driver."""
    named: dict[str, tuple[str, ...]] = defaultdict(tuple)
    others: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
    for pattern, taker in pairs:
        if tree := _TREE.fullmatch(pattern):
            named[tree[1]] += () if taker in named[tree[1]] else (taker,)
        else:
            others[pattern.partition(":")[0]].append((re.compile(translate(pattern)), taker))
    return Kernel(dict(named), others, image, built)
