# SPDX-License-Identifier: Apache-2.0
"""An image of the Pi's EEPROM (pieeprom.bin): its version, and the same image with this board's configuration.

The format is Raspberry Pi's, by its own program (raspberrypi/rpi-eeprom, rpi-eeprom-config): consecutive sections, each
a magic number and the length of its content, big-endian, on multiples of 8 bytes. A file's content begins with its
name. bootconf.txt is in its own 4 KiB sector, since only that is erased when it changes; the image's last 4 KiB are the
boot loader's. Images of a Pi 5 since 2026 have two copies of the loader ("bootsys"), of which an image fills the first.
Compared with that program: tests/update/test_eeprom_image.py.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

SIZES = {"bcm2711": 512 << 10, "bcm2712": 2 << 20}
CONFIG, TIME = "bootconf.txt", "updatetime"
_MAGIC, _MASK, _FILE, _PADDING = 0x55AAF00F, 0xFFFFF00F, 0x55AAF11F, 0x55AAFEEF
_HEADER, _NAME, _CONTENT = 8, 12, 24  # bytes of a section's header; of a name; from a section to its file's content
_SECTOR = 4096
MOST_CONFIG_BYTES = _SECTOR - _CONTENT  # rpi-eeprom-config permits 4 more, which lie in the next section
_READ_ONLY, _COPY = 64 << 10, 988 << 10  # of an image with two copies: the shared part, and the first copy
_BUILT = re.compile(rb"BUILD_TIMESTAMP=(\d{1,10})\b")
_MADE_FOR = re.compile(rb"MFG_VER: (\d{1,9})\b")


class BadImage(ValueError):
    """The bytes are no image of an EEPROM, or one of an unknown form."""


@dataclass(frozen=True, slots=True)
class _Section:
    magic: int
    at: int
    length: int  # of its content
    name: str  # "" for a section without a file


class EepromImage:
    """An image. `chip`: bcm2711 or bcm2712, by the size. `built_s`: Unix time of the loader's build. `made_for`: the
    oldest supported version of manufacture, which a board may require (MFG_VER, rpi-min-boot-ver).
    """

    def __init__(self, data: bytes) -> None:
        self.chip = next((chip for chip, size in SIZES.items() if len(data) == size), "")
        if not self.chip:
            raise BadImage(f"{len(data)} bytes: an EEPROM has {' or '.join(map(str, SIZES.values()))}")
        self._data = data
        self._sections = _parse(data)
        built, made_for = _BUILT.search(data), _MADE_FOR.search(data)
        if built is None:
            raise BadImage("it has no time of its build (BUILD_TIMESTAMP)")
        self.built_s = int(built[1])
        self.made_for = int(made_for[1]) if made_for else 0
        self._index(CONFIG)

    @property
    def config(self) -> bytes:
        found = self._sections[self._index(CONFIG)]
        return self._data[found.at + _CONTENT : found.at + _HEADER + found.length]

    def with_config(self, config: bytes | None, at_s: int) -> bytes:
        """The image with another bootconf.txt (None: its own), and `at_s` as the time of the update."""
        made = bytearray(self._data)
        if config is not None:
            self._put(made, config)
        self._stamp(made, at_s)
        return bytes(made)

    def _put(self, made: bytearray, config: bytes) -> None:
        if len(config) > MOST_CONFIG_BYTES:
            raise BadImage(f"{CONFIG}: {len(config)} bytes, and {MOST_CONFIG_BYTES} at most")
        index = self._index(CONFIG)
        at, after = self._sections[index].at, self._sections[index + 1 :]
        last = min(len(made) - _SECTOR, _READ_ONLY + _COPY)
        end = next((section.at for section in after if section.magic != _PADDING), last)
        if at + _CONTENT + len(config) > end:
            raise BadImage(f"{CONFIG}: {len(config)} bytes do not fit before the next section")
        struct.pack_into(">L", made, at + 4, _NAME + 4 + len(config))
        made[at + _CONTENT : at + _CONTENT + len(config)] = config
        free = at + _CONTENT + len(config)
        aligned = (free + 7) & ~7
        made[free:aligned] = b"\xff" * (aligned - free)
        left = end - aligned
        if left >= _HEADER and after:  # after the last section nothing is read
            struct.pack_into(">LL", made, aligned, _PADDING, left - _HEADER)
            aligned += _HEADER
        made[aligned:end] = b"\xff" * (end - aligned)

    def _stamp(self, made: bytearray, at_s: int) -> None:
        """Writes the time by which recovery.bin and the loader distinguish updates: into its file, else the last 8
        bytes.
        """
        stamp = struct.pack("<LL", ~at_s & 0xFFFFFFFF, at_s)
        shared = [each for each in self._sections if each.name == TIME and each.at < _READ_ONLY]
        if not shared:
            made[-8:] = stamp
            return
        copy = [each for each in self._sections if each.name == TIME and _READ_ONLY <= each.at < _READ_ONLY + _COPY]
        if not copy:
            raise BadImage(f"no {TIME} in its first copy")
        for section in (shared[0], copy[0]):
            made[section.at + _CONTENT : section.at + _CONTENT + 8] = stamp

    def _index(self, name: str) -> int:
        for index, section in enumerate(self._sections):
            if section.name == name and _READ_ONLY <= section.at < _READ_ONLY + _COPY:
                return index
        raise BadImage(f"it has no {name}")


def _parse(data: bytes) -> list[_Section]:
    sections, at = [], 0
    while at + _HEADER <= len(data):
        magic, length = struct.unpack_from(">LL", data, at)
        if magic in (0, 0xFFFFFFFF):
            break
        if magic & _MASK != _MAGIC or at + _HEADER + length > len(data):
            raise BadImage(f"no section at byte {at}")
        name = ""
        if magic == _FILE:
            name = data[at + _HEADER : at + _HEADER + _NAME].decode("ascii", "replace").replace("\0", "")
        sections.append(_Section(magic, at, length, name))
        at = (at + _HEADER + length + 7) & ~7
    return sections
