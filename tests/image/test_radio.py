# SPDX-License-Identifier: Apache-2.0
"""A root without one of the files that a board's Wi-Fi needs is refused; the names are those of the kernel's trees."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from boards_rig import ROOT, real_tree

from boards import radio
from boards.models import BOARDS

# firmware-brcm80211's links, of which each is another way to lose a file.
LINKS = {
    "brcm/brcmfmac43455-sdio.bin": "../cypress/cyfmac43455-sdio.bin",
    "brcm/brcmfmac43455-sdio.clm_blob": "../cypress/cyfmac43455-sdio.clm_blob",
    "brcm/brcmfmac43455-sdio.raspberrypi,4-compute-module.txt": "brcmfmac43455-sdio.raspberrypi,4-model-b.txt",
    "brcm/brcmfmac43455-sdio.raspberrypi,5-model-b.txt": "brcmfmac43455-sdio.raspberrypi,4-model-b.txt",
    "regulatory.db": "/etc/alternatives/regulatory.db",
    "regulatory.db.p7s": "/lib/firmware/regulatory.db.p7s-debian",
}
FILES = (
    "cypress/cyfmac43455-sdio.bin", "cypress/cyfmac43455-sdio.clm_blob", "regulatory.db-debian",
    "regulatory.db.p7s-debian", "brcm/brcmfmac43455-sdio.raspberrypi,4-model-b.txt",
)  # fmt: skip


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    place = tmp_path / "boot"
    place.mkdir()
    for board in BOARDS:
        if not board.is_vendors:
            shutil.copy(real_tree(board.tree), place / board.asked[0])
    return place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    firmware = tmp_path / "root/usr/lib/firmware"
    for name in FILES:
        (firmware / name).parent.mkdir(parents=True, exist_ok=True)
        (firmware / name).write_bytes(b"data")
    for name, target in LINKS.items():
        (firmware / name).parent.mkdir(parents=True, exist_ok=True)
        (firmware / name).symlink_to(target)
    other = tmp_path / "root/etc/alternatives"
    other.mkdir(parents=True)
    (other / "regulatory.db").symlink_to("/lib/firmware/regulatory.db-debian")
    return tmp_path / "root"


def test_a_root_with_debians_files_has_every_boards(boot: Path, root: Path) -> None:
    assert radio.faults(boot, root) == []


@pytest.mark.parametrize("name", [*FILES, *LINKS])
@pytest.mark.parametrize("is_empty", [False, True])
def test_each_file_is_missed(boot: Path, root: Path, name: str, is_empty: bool) -> None:
    path = root / "usr/lib/firmware" / name
    path.unlink()
    if is_empty:
        path.touch()
    assert radio.faults(boot, root)


def test_the_fault_names_board_and_file(boot: Path, root: Path) -> None:
    (root / "usr/lib/firmware/brcm/brcmfmac43455-sdio.raspberrypi,4-compute-module.txt").unlink()
    (fault,) = radio.faults(boot, root)
    assert fault.startswith("CM4: ")
    assert "brcmfmac43455-sdio.txt for raspberrypi,4-compute-module" in fault


def test_the_build_asks() -> None:
    """After the kernel's trees are there, and for the root that becomes the image's."""
    assert 'boards radio "$BEGIN" "$ROOT" || fail' in (ROOT / "image/steps/boards.sh").read_text()
