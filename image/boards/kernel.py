# SPDX-License-Identifier: Apache-2.0
"""A device's driver in a kernel: a module, by modules.alias, or the kernel itself.

The kernel's own drivers are known by modules.builtin.modinfo; what it matches without a driver (interrupt controllers,
clocks, buses) by its table entries in the image: struct of_device_id is char name[32], type[32], compatible[128].
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
_TREE = re.compile(r"of:N\*T\*C(.*?)(C?\*)?")  # every name of a tree is there twice: alone, and before others
_PCI = re.compile(r"pci([0-9a-f]{1,4}),([0-9a-f]{1,4})")  # of a node below a PCI bus, IEEE 1275 PCI binding 2.2.4
_PL011 = 0x00041011  # what an ARM PL011 says of itself where its node does not; drivers/tty/serial/amba-pl011.c


@dataclass(slots=True)
class Kernel:
    """`named`: takers of a compatible; `others`: pattern and taker of aliases of other buses, by their first word;
    `image`: the unpacked kernel."""

    named: dict[str, tuple[str, ...]]
    others: dict[str, list[tuple[re.Pattern[str], str]]]
    image: bytes
    _found: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def takers(self, device: Node) -> tuple[str, ...]:
        """The drivers of a node; none: nobody takes it."""
        found: tuple[str, ...] = ()
        for name in device.compatible:
            found += self.named.get(name, ())
            if pci := _PCI.fullmatch(name):
                vendor, model = (int(part, 16) for part in pci.groups())
                found += self.for_alias(f"pci:v{vendor:08X}d{model:08X}sv00000000sd00000000bc00sc00i00")
            if name == "arm,primecell":  # such a device is matched by the number in its registers, not by its name
                found += self.for_alias(f"amba:d{device.cell('arm,primecell-periphid', _PL011):08X}")
        for name in () if found else device.compatible:  # an entry in the image may also be somebody's exception
            found += self._in_image(name)
        return tuple(dict.fromkeys(found))

    def for_alias(self, alias: str) -> tuple[str, ...]:
        """What the kernel would load for the name that a bus gives a device that it found."""
        if alias not in self._found:
            pairs = self.others.get(alias.partition(":")[0], [])
            self._found[alias] = tuple(dict.fromkeys(taker for pattern, taker in pairs if pattern.match(alias)))
        return self._found[alias]

    def _in_image(self, name: str) -> tuple[str, ...]:
        if name not in self._found:
            entry = _BEFORE + name.encode().ljust(_COMPATIBLE, b"\0")
            self._found[name] = (BUILTIN,) if entry in self.image else ()
        return self._found[name]


def read_kernel(modules: Path, image: Path) -> Kernel:
    """`modules` is /lib/modules/VERSION after depmod, `image` the kernel that starts."""
    pairs = []
    for line in (modules / "modules.alias").read_text().splitlines():
        if line.startswith("alias "):
            pattern, _, module = line.removeprefix("alias ").rpartition(" ")
            pairs.append((pattern, module))
    for entry in (modules / "modules.builtin.modinfo").read_bytes().split(b"\0"):
        _, found, pattern = entry.decode(errors="replace").partition(".alias=")
        if found:
            pairs.append((pattern, BUILTIN))
    packed = image.read_bytes()
    return kernel_of(pairs, gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)


def kernel_of(pairs: list[tuple[str, str]], image: bytes) -> Kernel:
    """From patterns of names and who takes them."""
    named: dict[str, tuple[str, ...]] = defaultdict(tuple)
    others: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
    for pattern, taker in pairs:
        if tree := _TREE.fullmatch(pattern):
            named[tree[1]] += () if taker in named[tree[1]] else (taker,)
        else:
            others[pattern.partition(":")[0]].append((re.compile(translate(pattern)), taker))
    return Kernel(dict(named), others, image)
