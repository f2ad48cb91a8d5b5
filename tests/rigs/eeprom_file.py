# SPDX-License-Identifier: Apache-2.0
"""EEPROM images in Raspberry Pi's format, with the size and section order of the published ones."""

from __future__ import annotations

import random
import struct

from linetap.update.eepromimage import SIZES

OLD_S, NEW_S = 1_739_293_213, 1_779_045_198
OURS = b"[all]\nBOOT_UART=0\nBOOT_ORDER=0xf1\nPOWER_OFF_ON_HALT=0\nWAKE_ON_GPIO=1\n"
FACTORY = b"[all]\nBOOT_UART=0\nBOOT_ORDER=0xf41\nNET_INSTALL_AT_POWER_ON=1\n"
RECOVERY = b"recovery" * 1000
_PLAIN, _FILE, _PADDING = 0x55AAF44F, 0x55AAF11F, 0x55AAFEEF


def image(chip: str, built_s: int, *, copies: bool = False, config: bytes = FACTORY, made_for: int = 1) -> bytes:
    """An image. `copies`: two of the loader, as for a Pi 5 since 2026."""
    size, noise = SIZES[chip], random.Random(built_s)
    made = bytearray(b"\xff" * size)
    at = 0

    def section(magic: int, content: bytes, until: int | None = None) -> None:
        nonlocal at
        made[at : at + 8 + len(content)] = struct.pack(">LL", magic, len(content)) + content
        at = (at + 8 + len(content) + 7) & ~7
        if until is not None:
            made[at : at + 8] = struct.pack(">LL", _PADDING, until - at - 8)
            at = until

    def file(name: str, content: bytes, until: int | None = None) -> None:
        section(_FILE, name.encode().ljust(12, b"\0") + bytes(4) + content, until)

    told = b"BUILD_TIMESTAMP=%d\0MFG_VER: %d\0" % (built_s, made_for)
    section(0x55AAF00F, noise.randbytes(24_000) + (b"" if copies else told), 26_528 if copies else None)
    if copies:
        file("updatetime", bytes(8), 65_536)
        file("bootsys", noise.randbytes(70_001) + told)
    section(_PLAIN, noise.randbytes(45_003))
    section(_PLAIN, noise.randbytes(9_963))
    file("updatetime", bytes(8))
    at = (at + 4095) & ~4095
    made[:] = _padded(made, at)
    file("pubkey.bin", bytes(512), (at + 8192) & ~4095)
    file("bootconf.sig", b"", (at + 4096) & ~4095)
    file("cacert.der", b"", (at + 4096) & ~4095)
    file("bootconf.txt", config)
    return bytes(made)


def _padded(made: bytearray, until: int) -> bytearray:
    """The image with one section of padding between the last section and `until`."""
    at = 0
    while (magic := int.from_bytes(made[at : at + 4])) != 0xFFFFFFFF:
        assert magic
        at = (at + 8 + int.from_bytes(made[at + 4 : at + 8]) + 7) & ~7
    made[at : at + 8] = struct.pack(">LL", _PADDING, until - at - 8)
    return made
