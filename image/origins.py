# SPDX-License-Identifier: Apache-2.0
"""The package of origin of each file that starts a unit: those of the initramfs and of the card's boot partition.

Found by its name and size among the files of all packages of the build (copyrights.py lists them); a device tree, which
the firmware asks for by other names, by its size, before the build laid an overlay into it; a slot's start4a.elf as
start4.elf. So a program or a firmware file
taken from the kit is in the list of contents, or the build ends.
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
    """For each package, as (part, name): in which of these trees it has a file. `given`: a folder of firmware;
    `untouched`: of device trees as their package has them.
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
    """The file as its package has it."""
    before = None if untouched is None else untouched / file.name
    return before if before is not None and file.suffix == ".dtb" and before.is_file() else file


def _owner(file: Path, candidates: list[tuple[str, str, str]]) -> tuple[str, str] | None:
    """The root's package before the kit's. A module was packed, and a library's name is a link: these have no size."""
    size = str(file.stat().st_size)
    for part in ("root", "kit"):
        for where, package, length in candidates:
            if where == part and (length in ("-", size) or file.suffix == ".ko"):
                return part, package
    return None


def _is_program(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF" or file.name.endswith(FIRMWARE)
