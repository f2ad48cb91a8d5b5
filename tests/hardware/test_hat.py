# SPDX-License-Identifier: Apache-2.0
"""The image of the ID EEPROM has the content of eeprom.txt, in the format of a Pi's boot loader."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

import hat
from linetap_core.errors import BadInput
from simulation.netlist import HARDWARE

TEXT = HARDWARE / "eeprom.txt"


def test_what_is_written_is_read_back() -> None:
    card = hat.read_text(TEXT)
    assert hat.read_image(hat.image(card)) == card
    assert hat.read_image(hat.image(card) + b"\xff" * 100) == card  # a dump of the whole EEPROM
    assert (str(card.uuid), card.overlay) == ("6f0a5c1e-3b52-4c0f-9a57-2d6c1e7a9b10", "linetap")
    assert (HARDWARE / "overlay" / f"{card.overlay}.dts").exists()


def test_the_bytes_are_those_of_the_format() -> None:
    """Written by hand, after eeptools: little-endian, the UUID's last digits first, dlen with the CRC."""
    data = hat.image(hat.read_text(TEXT))
    assert data[:8] == b"R-Pi\x02\x00\x03\x00"
    assert struct.unpack_from("<I", data, 8)[0] == len(data)
    assert struct.unpack_from("<HHI", data, 12) == (1, 0, 22 + len("linetap") + len("linetap card of eight lines") + 2)
    assert data[20:36].hex() == "109b7a1e6c2d579a0f4c523b1e5c0a6f"


def test_the_checksum_is_crc16_arc() -> None:
    assert hat.crc16(b"123456789") == 0xBB3D


def test_one_wrong_bit_anywhere_is_found_or_changes_nothing_that_is_read() -> None:
    card = hat.read_text(TEXT)
    data = hat.image(card)
    for i in range(len(data) * 8):
        changed = bytearray(data)
        changed[i // 8] ^= 1 << i % 8
        try:
            assert hat.read_image(bytes(changed)) == card  # the reserved byte of the header
        except BadInput:
            continue
        assert i // 8 == 5


@pytest.mark.parametrize("length", [0, 5, 12, 40, 108])
def test_a_cut_image_is_refused(length: int) -> None:
    with pytest.raises(BadInput):
        hat.read_image(hat.image(hat.read_text(TEXT))[:length])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("product_ver 0x0001", "product_ver", "'product_ver' is not one of"),
        ("product_ver 0x0001", "colour red", "'colour red' is not one of"),
        ("product_ver 0x0001", "", "product_ver is missing"),
        ("6f0a5c1e-3b52-4c0f-9a57-2d6c1e7a9b10", "00000000-0000-0000-0000-000000000000", "must be fixed"),
        ("6f0a5c1e-3b52", "6f0a5c1e", "badly formed"),
        ("0x0001", "0x10000", "numbers have 16 bits"),
    ],
)
def test_a_wrong_text_is_reported(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "eeprom.txt"
    path.write_text(TEXT.read_text().replace(old, new))
    with pytest.raises(BadInput, match=told):
        hat.read_text(path)


def test_the_command_writes_and_shows(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(HARDWARE / "hat.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    out = tmp_path / "linetap.eep"
    assert run(str(TEXT), str(out)).returncode == 0
    assert "linetap card of eight lines" in run("--show", str(out)).stdout
    out.write_bytes(b"no image")
    refused = run("--show", str(out))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "hat.py: 8 bytes are no image of an EEPROM of 4096\n"
