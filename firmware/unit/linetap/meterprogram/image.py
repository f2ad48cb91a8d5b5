# SPDX-License-Identifier: Apache-2.0
"""The file with a meter's program: an image in the form of hardware/meter/loader/layout.h, and the suffix of DFU 1.1.

The meter's loader verifies the signature; the checks here only inform a person beforehand.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import BadInput

VENDOR, METER, LOADER = 0x1209, 0x0001, 0x0002  # pid.codes' numbers for tests
SIGNATURE, MAGIC, HEADER = 64, b"LTMI", 256
OUR_PART = 0x00010467
MOST = 0x5000  # bytes of an image
_FIELDS = struct.Struct("<4sIBBBBI")  # magic, part, patch, minor, major, 0, length of the program
_SUFFIX = struct.Struct("<HHHH3sBI")  # device, product, vendor, DFU, signature, length, CRC
_DFU_SUFFIX = 0x0100


@dataclass(frozen=True, slots=True)
class Image:
    version: tuple[int, int, int]
    data: bytes  # the bytes sent to the loader

    @property
    def name(self) -> str:
        return ".".join(map(str, self.version))


def header(version: tuple[int, int, int], length: int) -> bytes:
    """The header between signature and program."""
    major, minor, patch = version
    fields = _FIELDS.pack(MAGIC, OUR_PART, patch, minor, major, 0, length)
    return fields.ljust(HEADER - SIGNATURE, b"\0")


def with_suffix(data: bytes) -> bytes:
    """The data with the suffix that dfu-suffix adds."""
    body = data + _SUFFIX.pack(0xFFFF, LOADER, VENDOR, _DFU_SUFFIX, b"UFD", _SUFFIX.size, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body) ^ 0xFFFFFFFF)


def read(path: Path) -> Image:
    """The image in a file. BadInput if it is no program for a line meter, without a check of the maker's signature."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST + _SUFFIX.size + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    return parsed(data, str(path))


def parsed(data: bytes, name: str) -> Image:
    body = _without_suffix(data, name)
    if len(body) < HEADER or body[SIGNATURE : SIGNATURE + len(MAGIC)] != MAGIC:
        raise BadInput(f"{name}: no program for a line meter: {MAGIC.decode()} expected at byte {SIGNATURE}")
    _, part, patch, minor, major, _, length = _FIELDS.unpack_from(body, SIGNATURE)
    if part != OUR_PART:
        raise BadInput(f"{name}: a program for part {part:#010x}; a line meter is {OUR_PART:#010x}")
    if len(body) > MOST:
        raise BadInput(f"{name}: more than {MOST} bytes, for which a meter has no room")
    if len(body) != HEADER + length:
        raise BadInput(f"{name}: {len(body)} bytes; its header says {HEADER + length}")
    return Image((major, minor, patch), body)


def _without_suffix(data: bytes, name: str) -> bytes:
    if len(data) < _SUFFIX.size:
        raise BadInput(f"{name}: {len(data)} bytes are no program for a line meter")
    _, product, vendor, version, mark, length, crc = _SUFFIX.unpack(data[-_SUFFIX.size :])
    if mark != b"UFD" or length != _SUFFIX.size or version != _DFU_SUFFIX:
        raise BadInput(f"{name}: the 16 bytes at its end are no DFU suffix: it was cut short, or is another file")
    if zlib.crc32(data[:-4]) ^ 0xFFFFFFFF != crc:
        raise BadInput(f"{name}: the CRC of its DFU suffix does not hold: it was changed on its way")
    if (vendor, product) != (VENDOR, LOADER):
        raise BadInput(f"{name}: for USB device {vendor:04x}:{product:04x}; a meter's is {VENDOR:04x}:{LOADER:04x}")
    return data[: -_SUFFIX.size]
