# SPDX-License-Identifier: Apache-2.0
"""The files that a Pi's firmware reads, and a check that a boot partition has them.

Every rule is from raspberrypi/documentation, documentation/asciidoc/computers/: BOOT is config_txt/boot.adoc, FOLDER is
configuration/boot_folder.adoc, TREE is configuration/device-tree.adoc, FILTER is config_txt/conditional.adoc.
"""

from __future__ import annotations

import gzip
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from boards.models import BOARDS, Board, with_tree
from boards.tree import Tree, TreeError, read_tree, with_overlays

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "firmware/unit"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "firmware/core"))
from linetap.update import startfile

LINE = 98  # of config.txt; longer lines are cut. config_txt/what_is_config_txt.adoc, "File format"
IMAGE_MAGIC = b"ARM\x64"  # at byte 56 of a kernel's image; Documentation/arch/arm64/booting.rst


@dataclass(frozen=True, slots=True)
class Config:
    """The settings that apply to a board, in their order."""

    lines: tuple[tuple[str, str], ...]

    def last(self, key: str, otherwise: str = "") -> str:
        return next((value for name, value in reversed(self.lines) if name == key), otherwise)

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.lines if name == key]


def read_config(text: str, filters: tuple[str, ...]) -> Config:
    """Parses config.txt. FILTER: a section ends at the next one; only `initramfs` is written without "=" (BOOT,
    "initramfs").
    """
    holds, found = True, []
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if section := re.fullmatch(r"\[(.*)\]", line):
            holds = section[1] in filters
        elif line and holds:
            key, _, value = line.partition(" " if line.startswith("initramfs ") else "=")
            found.append((key.strip(), value.strip()))
    return Config(tuple(found))


def start_files(config: Config, board: Board) -> tuple[str, ...]:
    """The firmware's start files. FOLDER: start4*.elf is the Pi 4's, and a Pi 5 has its firmware in the EEPROM. "The
    cut-down firmware is automatically used when gpu_mem=16". BOOT: start_x and start_debug select others, start_file
    and fixup_file any file.
    """
    if board.chip != "bcm2711":
        return ()
    if config.last("start_file"):
        return config.last("start_file"), config.last("fixup_file", "fixup4.dat")
    kind = ""
    if int(config.last("gpu_mem", "76")) <= 16:
        kind = "cd"
    if config.last("start_x") == "1":
        kind = "x"
    if config.last("start_debug") == "1":
        kind = "db"
    return f"start4{kind}.elf", f"fixup4{kind}.dat"


def all_start_files(text: str) -> list[str]:
    return sorted({name for board in BOARDS for name in start_files(read_config(text, board.filters), board)})


def faults(card: Path) -> list[str]:
    """The files that the firmware of any board would miss on this boot partition; one line each."""
    text = (card / "config.txt").read_text()
    found = [
        f"config.txt: a line of more than {LINE} characters: {line[:40]}"
        for line in text.splitlines()
        if len(line.partition("#")[0]) > LINE
    ]
    for board in with_tree(card / read_config(text, ("all",)).last("os_prefix")):
        config = read_config(text, board.filters)
        found += [f"{board.name}: {fault}" for fault in _board_faults(card, config, board)]
    return found


def _board_faults(card: Path, config: Config, board: Board) -> list[str]:
    found = [f"the firmware asks for {name}" for name in start_files(config, board) if not (card / name).is_file()]
    there = [name for name in start_files(config, board)[:1] if (card / name).is_file()]
    found += [f"{name} {fault}" for name in there if (fault := startfile.fault_of((card / name).read_bytes()))]
    prefix = card / config.last("os_prefix")
    # BOOT, "os_prefix": without kernel and tree the prefix is ignored.
    found += [f"no {prefix.name}/{name}" for name in board.asked if not (prefix / name).is_file()]
    found += _kernel_faults(prefix, config)
    initramfs = config.last("initramfs").partition(" ")[0]
    for name in [config.last("cmdline", "cmdline.txt"), *([initramfs] if initramfs else [])]:
        if not (prefix / name).is_file():
            found.append(f"no {prefix.name}/{name}")
    return found + _overlay_faults(prefix, config, board)


def _kernel_faults(prefix: Path, config: Config) -> list[str]:
    """BOOT, "arm_64bit": the image is plain or compressed by gzip."""
    kernel = prefix / config.last("kernel", "kernel8.img")
    if not kernel.is_file():
        return [f"no {prefix.name}/{kernel.name}"]
    with kernel.open("rb") as file:
        begin = file.read(64)
    if begin[:2] == b"\x1f\x8b":
        with gzip.open(kernel) as packed:
            begin = packed.read(64)
    return [] if begin[56:60] == IMAGE_MAGIC else [f"{kernel.name} is no image of a 64-bit kernel"]


def _overlay_faults(prefix: Path, config: Config, board: Board) -> list[str]:
    """BOOT, "overlay_prefix": without its README the overlays of a prefix are ignored. TREE: the firmware skips an
    overlay that cannot be applied, and starts the board without it.
    """
    folder = prefix / "overlays"
    if not (folder / "README").is_file():
        return [f"no {prefix.name}/overlays/README: the firmware takes the overlays from elsewhere"]
    names = [name.partition(",")[0] for name in config.all("dtoverlay") if name]
    own = [folder / f"{mapped(folder, name, board)}.dtbo" for name in names]
    patches = [[folder / f"{patch}.dtbo"] if patch else [] for patch in board.patches]
    if missing := [path for files in (*patches, own) for path in files if not path.is_file()]:
        return [f"no {prefix.name}/overlays/{path.name}" for path in missing]
    try:
        for tree in board.asked:
            for patch in patches if (prefix / tree).is_file() else []:
                with_overlays(prefix / tree, patch + own)
    except TreeError as error:
        return [str(error)]
    return []


def mapped(folder: Path, name: str, board: Board) -> str:
    """The file of an overlay on a board: overlay_map.dtb has a node for each name, with an empty property or another
    name for each chip (raspberrypi/linux, overlays/README and overlay_map.dts).
    """
    path = folder / "overlay_map.dtb"
    if not path.is_file():
        return name
    tree: Tree = read_tree(path.read_bytes())
    node = tree.by_path.get(f"/{name}")
    other = node.texts(board.chip) if node and board.chip in node.properties else []
    return other[0] if other else name
