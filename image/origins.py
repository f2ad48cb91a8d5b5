# SPDX-License-Identifier: Apache-2.0
"""Finds the package of origin of each file that starts a unit: in the initramfs and on the card's boot partition.

A file is found by name and size among the files of all packages of the build (listed by copyrights.py). A device tree,
which the firmware requests under other names, is found by its size before the build applied an overlay; a slot's
start4a.elf as start4.elf. A program or firmware file taken from the kit is therefore in the list of contents; otherwise
the build fails.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from packagelock import Unusable

OURS = "linetap_"  # our own modules
COMPILED = "overlays"  # of sources in the repository
OF_A_SLOT = re.compile(r"((?:start|fixup)\w+)[ab](\.(?:elf|dat))")  # steps/boards.sh names them
FIRMWARE = (".elf", ".dat", ".bin", ".dtb", ".ko", ".upd")


def places(
    files: Path, trees: dict[str, Path], given: Path | None = None, untouched: Path | None = None
) -> dict[tuple[str, str], list[str]]:
    """For each package, as (part, name): the trees that contain a file of it.

    `given`: a folder of firmware; `untouched`: the device trees as in their package.
    """
    known: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for line in files.read_text().splitlines():
        part, package, size, path = line.split(" ", 3)
        name = PurePosixPath(path).name.removesuffix(".xz")
        known["vmlinuz" if name.startswith("vmlinuz-") else name].append((part, package, size))
        if name.endswith(".dtb"):
            known[f"{size}.dtb"].append((part, package, size))
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place, tree in trees.items():
        for file in sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()):
            original = file.name if file.name in known else OF_A_SLOT.sub(r"\1\2", file.name)
            packed = _packed(file, untouched)
            candidates = known[original] + (known[f"{packed.stat().st_size}.dtb"] if file.suffix == ".dtb" else [])
            if file.name.startswith(OURS) or file.parent.name == COMPILED:
                continue
            if given is not None and (given / original).is_file():
                found["given", given.name].add(place)
            elif (owner := _owner(packed, candidates)) is not None:
                found[owner].add(place)
            elif _is_program(file):
                raise Unusable(f"{place}: no package brings {file.relative_to(tree)}, so its licence is unknown")
    return {owner: sorted(where) for owner, where in found.items()}


def _packed(file: Path, untouched: Path | None) -> Path:
    """The file as in its package."""
    before = None if untouched is None else untouched / file.name
    return before if before is not None and file.suffix == ".dtb" and before.is_file() else file


def _owner(file: Path, candidates: list[tuple[str, str, str]]) -> tuple[str, str] | None:
    """The package of a file, the root's before the kit's. A module was compressed, and a library's name is a link:
    these have no size.
    """
    size = str(file.stat().st_size)
    for part in ("root", "kit"):
        for where, package, length in candidates:
            if where == part and (length in ("-", size) or file.suffix == ".ko"):
                return part, package
    return None


def _is_program(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF" or file.name.endswith(FIRMWARE)
