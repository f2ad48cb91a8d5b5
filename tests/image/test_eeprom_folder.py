# SPDX-License-Identifier: Apache-2.0
"""LINETAP_EEPROM: the boot loaders of a checkout of raspberrypi/rpi-eeprom are copied into a root (image/eeprom.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eeprom_file import NEW_S, OLD_S, RECOVERY, image

PROJECT = Path(__file__).resolve().parents[2]

RECOVERIES = {"2711": RECOVERY * 3, "2712": RECOVERY * 4}
LIMIT_S = 60
PUBLISHED = os.environ.get("LINETAP_RPI_EEPROM", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "rpi-eeprom"
    for number, recovery in RECOVERIES.items():
        release = found / f"firmware-{number}/default"
        release.mkdir(parents=True)
        for day, built_s in (("2025-02-11", OLD_S), ("2026-05-17", NEW_S)):
            (release / f"pieeprom-{day}.bin").write_bytes(image(f"bcm{number}", built_s))
        (release / "recovery.bin").write_bytes(recovery)
    (found / "LICENSE").write_text("their terms")
    return found


def lay(folder: Path, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "image/eeprom.py"), str(folder), str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def test_the_newest_of_each_chip_and_its_licence_come_into_the_root(folder: Path, tmp_path: Path) -> None:
    done = lay(folder, tmp_path / "root")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(f"{chip}: boot loader of 2026-05-17 ({NEW_S})\n" for chip in ("bcm2711", "bcm2712"))
    there = tmp_path / "root/usr/lib/linetap/eeprom"
    for number, recovery in RECOVERIES.items():
        assert (there / f"bcm{number}/pieeprom.bin").read_bytes() == image(f"bcm{number}", NEW_S)
        assert (there / f"bcm{number}/recovery.bin").read_bytes() == recovery
        assert not (there / f"bcm{number}/older").exists()
    assert (tmp_path / "root/usr/share/doc/rpi-eeprom/copyright").read_text() == "their terms"


def test_a_way_back_is_asked_for(folder: Path, tmp_path: Path) -> None:
    assert "also over a newer one" in lay(folder, tmp_path / "root", "--older").stdout
    assert (tmp_path / "root/usr/lib/linetap/eeprom/bcm2711/older").exists()


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("LICENSE", None, "LICENSE is missing"),
        ("firmware-2712/default/recovery.bin", None, "recovery.bin is missing"),
        ("firmware-2711/default/recovery.bin", b"#", "recovery.bin is missing, or no program"),
        ("firmware-2711/default/pieeprom-2026-05-17.bin", b"", "pieeprom-2026-05-17.bin: 0 bytes"),
        ("firmware-2711/default/pieeprom-2026-05-17.bin", image("bcm2712", NEW_S), "is for bcm2712"),
    ],
)
def test_what_is_missing_or_none_ends_the_build(
    folder: Path, tmp_path: Path, name: str, data: bytes | None, told: str
) -> None:
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    done = lay(folder, tmp_path / "root")
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not PUBLISHED, reason="raspberrypi/rpi-eeprom is not fetched: LINETAP_RPI_EEPROM names no checkout")
def test_the_published_ones_are_taken(tmp_path: Path) -> None:
    done = lay(Path(PUBLISHED), tmp_path / "root")
    assert done.returncode == 0, done.stderr
