# SPDX-License-Identifier: Apache-2.0
"""The board's properties for its EEPROM, and whether recovery.bin may write it.

Each rule is Raspberry Pi's: "Update the bootloader" and "ENABLE_SELF_UPDATE" of its documentation, and
rpi-eeprom-update (raspberrypi/rpi-eeprom, 2026-08-19), whose names are beside the rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from linetap.checks.bootstate import Loader, read_loader
from linetap.checks.kernelfiles import bytes_of
from linetap.update.eepromimage import EepromImage
from linetap.update.state import UpdateFault

BOOT = "boot/firmware"
_TREE = "sys/firmware/devicetree/base"
_NEEDS = "proc/device-tree/chosen/rpi-min-boot-ver"  # DT_MIN_BOOT_VER: 32 bits, big-endian
LEAST_LINES = 3  # prepareImage: a shorter configuration is damaged, and the image's own applies
_NO_CONFIG = "the kernel does not show the EEPROM's configuration, which would be lost"
# firmware-2712/release-notes.md: "support dts files with size-cells of 2", as in the kernel's tree.
_SHOWS_FROM_S = 1739232000  # 2025-02-11
_PI_5 = "; a Pi 5's loader shows it from 2025-02-11 on, so the step to that one is by hand"


@dataclass(frozen=True, slots=True)
class Board:
    """The board. `config`: the EEPROM's bootconf.txt as read by the running loader; None: not shown by the kernel.
    `needs`: its oldest version of manufacture. `on_card`: its boot partition is in the card's slot.
    """

    loader: Loader
    config: bytes | None
    needs: int
    on_card: bool
    is_signed: bool  # its card starts a signed boot.img (docs/verified-boot.md)

    @property
    def kept_config(self) -> bytes | None:
        """The configuration to copy into the next image."""
        return self.config if self.config is not None and self.config.count(b"\n") >= LEAST_LINES else None

    def setting(self, name: str) -> str:
        """A setting's last value in any section: a condition that is true for some boards counts as true."""
        found = re.findall(rf"^\s*{name}\s*=\s*(\S+)".encode(), self.config or b"", re.MULTILINE)
        return found[-1].decode("ascii", "replace") if found else ""


def read_board(root: Path) -> Board | None:
    """The board; None on a machine that is no Pi 4 or 5."""
    loader = read_loader(root)
    if loader is None:
        return None
    needs = bytes_of(root / _NEEDS)
    return Board(
        loader=loader,
        config=_config(root),
        needs=int.from_bytes(needs) if len(needs) == 4 else 0,
        on_card=bool(
            re.search(rb"^/dev/mmcblk\d+p1 /boot/firmware vfat ", bytes_of(root / "proc/mounts"), re.MULTILINE)
        ),
        is_signed=any((root / BOOT / name).exists() for name in ("boot.img", "autoboot.txt")),
    )


def require_writable(board: Board, image: EepromImage) -> None:
    """Raises UpdateFault if recovery.bin would not write this image here, or should not."""
    if image.chip != board.loader.chip:
        raise UpdateFault("eeprom_image", f"the image is for {image.chip}, this is {board.loader.chip}")
    if board.loader.is_module:  # cm-bootloader.adoc: "ROM never runs `recovery.bin` from SD/eMMC"
        raise UpdateFault("eeprom_board", "a Compute Module takes it by rpiboot only")
    if not board.on_card:  # findBootFS: "the ROM can only load recovery.bin from the on-board SD-CARD slot"
        raise UpdateFault("eeprom_board", "the boot partition is not on a card in the card slot")
    if board.config is None:
        is_older = image.chip == "bcm2712" and board.loader.built_s < _SHOWS_FROM_S
        raise UpdateFault("eeprom_config", _NO_CONFIG + (_PI_5 if is_older else ""))
    if board.is_signed or board.setting("SIGNED_BOOT") not in ("", "0"):
        raise UpdateFault("eeprom_signed", "a signed EEPROM is written by the holder of the key")
    if board.setting("FREEZE_VERSION") not in ("", "0"):  # "Custom EEPROM update scripts must also check this flag"
        raise UpdateFault("eeprom_frozen", "FREEZE_VERSION is set in the EEPROM's configuration")
    if image.made_for < board.needs:  # STRICT_MIN_VER_CHECK
        raise UpdateFault(
            "eeprom_board", f"the board was made for version {board.needs}, the image for {image.made_for}"
        )


def _config(root: Path) -> bytes | None:
    """The boot loader's settings, found like getBootloaderConfig does: the nvmem device of the alias `blconfig`."""
    node = bytes_of(root / _TREE / "aliases/blconfig").rstrip(b"\0").decode("ascii", "replace")
    if not node.startswith("/"):
        return None
    wanted = (root / _TREE / node.lstrip("/")).resolve()
    for device in sorted((root / "sys/bus/nvmem/devices").glob("*")):
        if (device / "of_node").resolve() == wanted:
            return bytes_of(device / "nvmem").rstrip(b"\0\xff") or None
    return None
