# SPDX-License-Identifier: Apache-2.0
"""The files that the radio's driver reads, and a check that a root has them for each board.

drivers/net/wireless/broadcom/brcm80211/brcmfmac: of.c takes the board's name from the first `compatible` of its tree,
with "-" for "/"; firmware.c looks for NAME.BOARD.SUFFIX and then NAME.SUFFIX; sdio.c needs firmware and settings. The
channels (clm_blob) are optional there: without them most channels of 5 GHz are off, so they are required here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from boards.models import with_tree
from boards.tree import read_tree

NAME = "brcmfmac43455-sdio"
SUFFIXES = ("bin", "txt", "clm_blob")
WITHOUT = ("Pi 400",)  # it has a 43456, for which Debian has no files: docs/boards.md
RULES = ("regulatory.db", "regulatory.db.p7s")  # without these two an order's country has no effect (net/wireless)


def faults(boot: Path, root: Path) -> list[str]:
    """One line for each missing file. `boot`: the trees; `root`: the unit's."""
    firmware = root / "usr/lib/firmware"
    found = [
        f"{board.name}: the radio's driver finds no {NAME}.{suffix} for {kind} in usr/lib/firmware/brcm"
        for board in with_tree(boot)
        if board.name not in WITHOUT
        for kind in [_kind(boot / board.asked[0])]
        for suffix in SUFFIXES
        if not any(_is_there(root, path) for path in _asked(firmware / "brcm", kind, suffix))
    ]
    return found + [f"there is no usr/lib/firmware/{name}" for name in RULES if not _is_there(root, firmware / name)]


def _kind(tree: Path) -> str:
    first = read_tree(tree.read_bytes()).root.properties["compatible"].split(b"\0")[0]
    return first.decode().replace("/", "-")


def _asked(folder: Path, kind: str, suffix: str) -> Iterator[Path]:
    yield folder / f"{NAME}.{kind}.{suffix}"
    yield folder / f"{NAME}.{suffix}"


def _is_there(root: Path, path: Path) -> bool:
    """Whether a file of the root has content. Its links are followed within the root, absolute ones too."""
    for _ in range(8):
        if not path.is_symlink():
            return path.is_file() and path.stat().st_size > 0
        target = path.readlink()
        path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
        if path.is_relative_to(root / "lib"):  # a link to usr/lib
            path = root / "usr" / path.relative_to(root)
    return False
