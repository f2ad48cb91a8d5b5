# SPDX-License-Identifier: Apache-2.0
"""Folders on a disk. A file, a link or a FIFO with the name of a folder is set aside, like a damaged file: it would
otherwise stop every write below it."""

from __future__ import annotations

import stat
from pathlib import Path

from linetap_core.durable import broken
from linetap_core.durable.files import make_directories


def make(root: Path, path: Path) -> None:
    """`make_directories`, after anything in the way was set aside. For the owner of all of `root`."""
    below = root
    for name in path.relative_to(root).parts:
        below /= name
        if not is_there(below):
            break
    make_directories(root, path)


def is_there(path: Path) -> bool:
    """Whether there is such a folder. Another object of its name is set aside."""
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False
    if not is_folder:
        broken.set_aside(path, "it is no folder")
    return is_folder
