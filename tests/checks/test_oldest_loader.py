# SPDX-License-Identifier: Apache-2.0
"""The oldest usable boot loader of each board: the check, the documents and the release notes agree."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from linetap.checks.boot import OLDEST_LOADER, OLDEST_LOADER_SIGNED
from linetap.checks.bootstate import read_loader
from machine_rig import lay

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = os.environ.get("LINETAP_RPI_EEPROM", "")  # a checkout of raspberrypi/rpi-eeprom
# Features of a boot loader that the image needs: chip, day and words of the release note (docs/boards.md, "Versions").
NOTES = [
    ("bcm2711", "2020-10-28", "tryboot support"),
    ("bcm2711", "2021-04-19", "Promote 2021-03-18 from LATEST to DEFAULT"),
    ("bcm2711", "2022-10-18", "Enable `autoboot.txt` in secure-boot mode"),
    ("bcm2711", "2024-04-15", "Fix tryboot mode in secure-boot"),
    ("bcm2712", "2025-01-22", "GPT autoboot/reboot partition number fixes for Pi4 and older"),
    ("bcm2712", "2025-06-20", "(optionally) enabling the kernel watchdog"),
    ("bcm2712", "2025-10-08", "treated as request to boot from partition 32"),
    ("bcm2712", "2025-11-09", "Promote 2025-11-05 to the default release"),
]


def test_the_documents_name_the_days_of_the_check() -> None:
    rows = dict(
        re.findall(r"^\| EEPROM of (a Pi [^|]+) \| ([0-9-]+) \|", (DOCS / "boards.md").read_text(), re.MULTILINE)
    )
    assert rows == {
        "a Pi 4": OLDEST_LOADER["bcm2711"],
        "a Pi 4 with a signed card": OLDEST_LOADER_SIGNED["bcm2711"],
        "a Pi 5": OLDEST_LOADER["bcm2712"],
    }
    assert OLDEST_LOADER_SIGNED["bcm2712"] == OLDEST_LOADER["bcm2712"]
    cause = re.search(r"^\[unit\.firmware_old\]\ncause = \"(.*)\"$", (DOCS / "alerts.toml").read_text(), re.MULTILINE)
    assert cause is not None
    assert re.findall(r"\d{4}-\d\d-\d\d", cause[1]) == list(rows.values())


@pytest.mark.skipif(not PUBLISHED, reason="raspberrypi/rpi-eeprom is not fetched: LINETAP_RPI_EEPROM names no checkout")
@pytest.mark.parametrize(("chip", "day", "words"), NOTES)
def test_the_release_notes_say_so(chip: str, day: str, words: str) -> None:
    text = (Path(PUBLISHED) / f"firmware-{chip.removeprefix('bcm')}/release-notes.md").read_text()
    notes = [note for note in re.split(r"^## ", text, flags=re.MULTILINE) if note.startswith(day)]
    assert words in " ".join(" ".join(notes).split())


@pytest.mark.parametrize(("cmdline", "signed"), [
    ("panic=5 linetap.verity=1:2:3 linetap.slot=a\n", False), ("panic=5 linetap.verity=1:2:3\n", True),
    ("quiet\n", False),
])  # fmt: skip
def test_a_signed_start_is_known_by_its_command_line(tmp_path: Path, cmdline: str, signed: bool) -> None:
    lay(tmp_path, {"proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0", "proc/cmdline": cmdline})
    built = tmp_path / "proc/device-tree/chosen/bootloader/build-timestamp"
    built.parent.mkdir(parents=True)
    built.write_bytes((1_750_421_313).to_bytes(4))
    loader = read_loader(tmp_path)
    assert loader is not None
    assert (loader.built_on, loader.starts_signed) == ("2025-06-20", signed)
