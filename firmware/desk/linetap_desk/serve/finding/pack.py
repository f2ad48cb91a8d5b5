# SPDX-License-Identifier: Apache-2.0
"""Packs the sealed index of one unit as an archive: its lists with their signed heads first, then the segments."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from linetap_core.evidence.calls import index, indexhead
from linetap_desk.copy.indexfolder import IndexFolder
from linetap_desk.serve.release.package import Member


def pack_index(folder: IndexFolder, first: date, last: date) -> list[Member]:
    """The members of the archive for these days. OSError: the folder cannot be read. Nothing is verified here: the
    person who opens the segments verifies them."""
    return [*_lists(folder.folder), *_segments(folder, first, last)]


def _lists(folder: Path) -> Iterator[Member]:
    found = folder.iterdir() if folder.is_dir() else iter(())
    for path in sorted(found):
        if path.name.startswith(indexhead.PREFIXES):
            yield from _member(path, path.name)


def _segments(folder: IndexFolder, first: date, last: date) -> Iterator[Member]:
    for name in folder.segments():
        named = index.parse_segment(name.rpartition("/")[2])
        if named is not None and first <= named[0] <= last:
            yield from _member(folder.folder / name, name)


def _member(path: Path, name: str) -> Iterator[Member]:
    """The member; nothing for a removed file or another kind of object."""
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode):
        yield Member(name, found.st_size, path)
