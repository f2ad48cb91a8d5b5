# SPDX-License-Identifier: Apache-2.0
"""Folders on a disk. A file, a link or a FIFO with the name of a folder is set aside, like a damaged file, and so is a
folder of another user: it would otherwise stop every write below it."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from linetap_core.durable import broken
from linetap_core.durable.files import DIRECTORY_MODE, make_directories
from linetap_core.system import is_out_of_reach


def make(root: Path, path: Path) -> None:
    """`make_directories`, after anything in the way was set aside. For the owner of all of `root`."""
    below = root
    for name in path.relative_to(root).parts:
        below /= name
        if not (is_there(below) and _takes_files(below)):
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


def _takes_files(path: Path) -> bool:
    """Whether files can be written in the folder. Ours gets its rights back; another user's is set aside."""
    if os.access(path, os.R_OK | os.W_OK | os.X_OK) or _is_read_only(path):
        return True
    try:
        path.chmod(DIRECTORY_MODE)
    except PermissionError:
        broken.set_aside(path, "it is another user's, and no file can be written in it")
        return False
    return True


def _is_read_only(path: Path) -> bool:
    return sys.platform != "win32" and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def names_found(folder: Path, digits: int = 0) -> list[str]:
    """Returns the `names`; a folder that is lost, or another user's, is reported and counts as empty. Only for a
    search.
    """
    try:
        return names(folder, digits)
    except OSError as error:
        if not is_out_of_reach(error):
            raise
        broken.report(folder, error.strerror)
        return []


def names(folder: Path, digits: int = 0) -> list[str]:
    """Returns the names in a folder, sorted; only numbers of `digits` digits if given. Empty without a folder."""
    try:
        found = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in found if not digits or (len(name) == digits and name.isascii() and name.isdigit())]
