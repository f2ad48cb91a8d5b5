# SPDX-License-Identifier: Apache-2.0
"""Texts for a recipient whose bundle is not the file that was handed over: unpacked, packed again, or in a folder or
another zip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from linetap_core.errors import Refusal
from linetap_desk.bundle import layout
from linetap_desk.proofs import callfolder

ZIP_MAGIC = b"PK\x03\x04"
UNPACKED = "an unpacked bundle; its zip expected, or docs/check-bundle.sh for the folder"
_AS_HANDED_OVER = "the zip as it was handed over expected, neither cut off nor unpacked and packed again"
_MOST_ENTRIES = 1000  # of a folder
_LIST_BYTES, _END_BYTES = 1 << 20, 22


def is_zip(path: Path) -> bool:
    try:
        return callfolder.read_head(path, len(ZIP_MAGIC)) == ZIP_MAGIC
    except Refusal:
        return False


def in_folder(path: Path) -> str | None:
    """The text for a folder with a bundle in it or one level deeper, or inside an unpacked one. None if there is no
    bundle."""
    for folder in (path, path.parent, *_folders(path)):
        names = _names(folder)
        if any(name.startswith("calls\\") for name in names):
            return f"{folder}: a bundle, unpacked with \\ in the names; its zip expected"
        if layout.ABOUT in names:
            return f"{folder}: {UNPACKED}"
        zips = (folder / name for name in names if name.lower().endswith(".zip")) if folder != path.parent else ()
        if (found := next(filter(is_zip, zips), None)) is not None:
            return f"{path}: {found} is a bundle: name it"
    return None


def in_zip(file: BinaryIO, error: Refusal) -> str:
    """The text for a file that is not spelled as a bundle."""
    if b".zip" in _list_of(file).lower():
        return f"{error}; there is a zip in it: unpack this one, and name that"
    return f"{error}; {_AS_HANDED_OVER}"


def _list_of(file: BinaryIO) -> bytes:
    """The central directory with the names, as its end states its size; at most its last _LIST_BYTES."""
    total = os.fstat(file.fileno()).st_size
    file.seek(max(0, total - _END_BYTES))
    size = min(int.from_bytes(file.read(_END_BYTES)[12:16], "little"), _LIST_BYTES, max(0, total - _END_BYTES))
    file.seek(max(0, total - _END_BYTES - size))
    return file.read(size)


def _folders(path: Path) -> Iterator[Path]:
    return (path / name for name in _names(path) if (path / name).is_dir())


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry in islice(found, _MOST_ENTRIES))
    except OSError:
        return []
