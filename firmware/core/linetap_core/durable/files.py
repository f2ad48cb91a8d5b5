# SPDX-License-Identifier: Apache-2.0
"""Durable writing: new files, whole writes and syncs; atomic replacement with `replace_durably` on a disk and
`replace_in_ram` on tmpfs.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path

from linetap_core import plainfile, system
from linetap_core.system import NEW
from linetap_core.watchdog import step

TEMPORARY = ".tmp"
_TEMPORARY_NAMES = 8  # tried for one file
DIRECTORY_MODE = 0o750
FILE_MODE = 0o640
PUBLIC_MODE = 0o644  # for certificates and signers' files, which other users read; independent of the umask


def make_directories(root: Path, path: Path) -> None:
    """Makes every directory between `root`, which must exist, and `path`; each is synced into its parent."""
    above = root
    for name in path.relative_to(root).parts:
        below = above / name
        with contextlib.suppress(FileExistsError):
            below.mkdir(mode=DIRECTORY_MODE)
            sync_directory(above)
        above = below


def create(path: Path) -> int:
    """The descriptor of a new file; FileExistsError for an existing one, for which the key may have been used."""
    return os.open(path, NEW, FILE_MODE)


def write_all(fd: int, data: bytes) -> None:
    """Writes all of it: a disk that becomes full accepts a part before it refuses the rest."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    step()


def sync_directory(path: Path) -> None:
    system.sync_folder(path)
    step()


def sync_file_system(path: Path) -> None:
    """Syncs the whole file system of `path`, syncfs(2): one wait instead of a thousand."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY | system.DIRECTORY | system.CLOEXEC)
    try:
        if libc.syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(fd)


def remove_temporary(path: Path) -> None:
    """Removes the temporary files in a folder that a killed `replace_durably` left. Another object stays."""
    for entry in path.iterdir():
        if entry.name.startswith(".") and entry.name.endswith(TEMPORARY):
            with contextlib.suppress(IsADirectoryError, PermissionError):
                entry.unlink()


def free_temporary(path: Path) -> Path:
    """A free name for the half-written `path`. What a killed process left there is removed; a folder or an immutable
    file keeps the name, and another is taken.
    """
    for number in range(_TEMPORARY_NAMES):
        temporary = path.with_name(f".{path.name}.{number}{TEMPORARY}" if number else f".{path.name}{TEMPORARY}")
        try:
            temporary.unlink(missing_ok=True)  # a link must not be followed
        except (IsADirectoryError, PermissionError) as error:
            refused = error
        else:
            return temporary
    raise refused


def remove(path: Path) -> None:
    """Removes a file, or the folder that somebody has put in its place. No error if there is none."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        shutil.rmtree(path)


def sha256(path: Path) -> str:
    fd = os.open(path, system.READ)
    with os.fdopen(fd, "rb") as file:
        plainfile.require_plain(fd, path)
        return hashlib.file_digest(file, "sha256").hexdigest()


def prune(day: Path) -> None:
    """Removes the folders of a day, its month and its year if empty."""
    for folder in (day, day.parent, day.parent.parent):
        try:
            folder.rmdir()
        except OSError:
            return
        sync_directory(folder.parent)


_PRIVATE_MODE = 0o600


def replace_durably(path: Path, data: bytes, like: Path | None = None, mode: int | None = None) -> None:
    """Replaces `path` on disk and syncs it with its folder; on an OSError it has the old content.

    `like`: a file whose group and mode are copied; if it is missing, `mode` applies.
    """
    temporary = free_temporary(path)
    try:
        _write_whole(os.open(temporary, NEW, FILE_MODE), data, like, mode)
        system.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def restrict_to_group(path: Path) -> bool:
    """Removes all rights of users outside the owner and the group, independent of the umask. False: the file is another
    user's and unchanged.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        if mode & stat.S_IRWXO:
            path.chmod(mode & ~stat.S_IRWXO)
    except PermissionError:
        return False
    return True


def move_durably(fresh: Path, path: Path) -> None:
    """Renames a file or folder that is already on disk, and syncs its new folder. OSError: not moved, or not synced."""
    system.rename(fresh, path)
    sync_directory(path.parent)


def replace_in_ram(path: Path, data: bytes, private: bool = False) -> None:
    """Replaces a file on tmpfs by a rename without a sync. A reader sees the old or the new content; a power cut leaves
    neither.

    `private`: readable by this service alone; otherwise by the folder's group.
    """
    fresh = f".{path.name}.new"
    at = os.open(path.parent, os.O_RDONLY | system.DIRECTORY | system.CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=at)  # of a killed process; or another object, which must not be followed
        fd = os.open(fresh, NEW, _PRIVATE_MODE if private else FILE_MODE, dir_fd=at)
        try:
            view = memoryview(data)
            while view:  # not write_all: a write to tmpfs is not counted as one to a disk
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        os.rename(fresh, path.name, src_dir_fd=at, dst_dir_fd=at)
    finally:
        os.close(at)


def _write_whole(fd: int, data: bytes, like: Path | None, mode: int | None) -> None:
    try:
        write_all(fd, data)
        if like is not None and stat.S_ISREG((about := like.lstat()).st_mode):
            if sys.platform != "win32":
                with contextlib.suppress(OSError):  # we are not in that group: the folder's group applies
                    os.fchown(fd, -1, about.st_gid)
            mode = about.st_mode & 0o777
        if mode is not None and sys.platform != "win32":
            os.fchmod(fd, mode)
        os.fsync(fd)
    finally:
        os.close(fd)
