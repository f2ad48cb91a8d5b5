#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the image of the card's ID EEPROM (HAT+, version 2) from hardware/eeprom.txt, and reads such an image.

`.venv/bin/python hardware/hat.py hardware/eeprom.txt build/linetap.eep` writes; with `--show IMAGE` it prints one.
The format is that of raspberrypi/utils, eeptools: a header, then atoms, each with a CRC-16 (0x8005, reflected, from 0).
"""

from __future__ import annotations

import argparse
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from linetap_core.errors import BadInput, LinetapError

HEADER = struct.Struct("<4sBBHI")  # signature, version, reserved, number of atoms, total length
ATOM = struct.Struct("<HHI")  # type, count, length of data and CRC
VENDOR = struct.Struct("<16sHHBB")
SIGNATURE, HAT_PLUS = b"R-Pi", 2
VENDOR_ATOM, OVERLAY_ATOM, POWER_ATOM = 1, 3, 6
MOST_BYTES = 4096  # size of the EEPROM: 32 kbit
MOST_ATOMS = 16
KEYS = ("product_uuid", "product_id", "product_ver", "vendor", "product", "current_supply", "dt_blob")


@dataclass(frozen=True, slots=True)
class Card:
    """The identity of a card. `current_ma`: supply current offered to the Pi; `overlay`: name of its overlay."""

    uuid: UUID
    product_id: int
    product_version: int
    vendor: str
    product: str
    current_ma: int
    overlay: str


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def read_text(path: Path) -> Card:
    """Reads the text form. BadInput names the first invalid line, or the missing key."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, _, value = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if key not in KEYS or key in found or not value:
            raise BadInput(f"{path}:{number}: {line[:60]!r} is not one of {', '.join(KEYS)} with its value")
        found[key] = value.strip().strip('"')
    if missing := [key for key in KEYS if key not in found]:
        raise BadInput(f"{path}: {missing[0]} is missing")
    try:
        uuid = UUID(found["product_uuid"])
        numbers = [int(found[key], 0) for key in ("product_id", "product_ver", "current_supply")]
        texts = [found[key].encode("ascii") for key in ("vendor", "product", "dt_blob")]
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from None
    if uuid.int == 0:
        raise BadInput(f"{path}: product_uuid is zero, which eepmake would make up anew; it must be fixed")
    if not all(0 <= number < 1 << 16 for number in numbers) or not all(0 < len(text) < 256 for text in texts):
        raise BadInput(f"{path}: numbers have 16 bits and texts 1 to 255 characters")
    vendor, product, overlay = (text.decode() for text in texts)
    return Card(uuid, numbers[0], numbers[1], vendor, product, numbers[2], overlay)


def image(card: Card) -> bytes:
    vendor, product = card.vendor.encode(), card.product.encode()
    serial = card.uuid.int.to_bytes(16, "little")
    about = VENDOR.pack(serial, card.product_id, card.product_version, len(vendor), len(product)) + vendor + product
    datas = {VENDOR_ATOM: about, OVERLAY_ATOM: card.overlay.encode(), POWER_ATOM: struct.pack("<I", card.current_ma)}
    atoms = b""
    for count, (kind, data) in enumerate(datas.items()):
        atom = ATOM.pack(kind, count, len(data) + 2) + data
        atoms += atom + struct.pack("<H", crc16(atom))
    return HEADER.pack(SIGNATURE, HAT_PLUS, 0, len(datas), HEADER.size + len(atoms)) + atoms


def read_image(data: bytes) -> Card:
    """Reads an image. BadInput if it is truncated, altered, or lacks an atom. Bytes after the image, as in a dump, are
    ignored.
    """
    if len(data) < HEADER.size or len(data) > MOST_BYTES:
        raise BadInput(f"{len(data)} bytes are no image of an EEPROM of {MOST_BYTES}")
    signature, version, _, count, length = HEADER.unpack_from(data)
    if signature != SIGNATURE or version != HAT_PLUS or count > MOST_ATOMS or length > len(data):
        raise BadInput("the header is not that of a HAT+, or the image is cut short")
    atoms, at = {}, HEADER.size
    for i in range(count):
        if at + ATOM.size > length:
            raise BadInput(f"atom {i} is cut short")
        kind, number, dlen = ATOM.unpack_from(data, at)
        end = at + ATOM.size + dlen
        if dlen < 2 or end > length or number != i:
            raise BadInput(f"atom {i} is cut short, or not in its place")
        if crc16(data[at : end - 2]) != int.from_bytes(data[end - 2 : end], "little"):
            raise BadInput(f"atom {i}: its CRC does not fit")
        atoms[kind] = data[at + ATOM.size : end - 2]
        at = end
    try:
        serial, product_id, version, vendor_bytes, product_bytes = VENDOR.unpack_from(atoms[VENDOR_ATOM])
        texts = atoms[VENDOR_ATOM][VENDOR.size :].decode("ascii")
        (current_ma,) = struct.unpack("<I", atoms[POWER_ATOM])
        overlay = atoms[OVERLAY_ATOM].decode("ascii")
    except (KeyError, struct.error, UnicodeDecodeError):
        raise BadInput("an atom of vendor, overlay or current is missing or not as it should be") from None
    if len(texts) != vendor_bytes + product_bytes:
        raise BadInput("the vendor's atom has another length than its texts")
    uuid = UUID(int=int.from_bytes(serial, "little"))
    return Card(uuid, product_id, version, texts[:vendor_bytes], texts[vendor_bytes:], current_ma, overlay)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print an image instead of writing one")
    parser.add_argument("source", type=Path, help="eeprom.txt, or with --show an image")
    parser.add_argument("image", type=Path, nargs="?", help="where to write")
    asked = parser.parse_args()
    if asked.show == bool(asked.image):
        parser.error("give eeprom.txt and where to write, or --show and an image")
    try:
        if asked.show:
            with asked.source.open("rb") as file:
                print(read_image(file.read(MOST_BYTES)))
        else:
            asked.image.write_bytes(image(read_text(asked.source)))
    except (LinetapError, OSError) as error:
        print(f"hat.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
