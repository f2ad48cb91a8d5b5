# SPDX-License-Identifier: Apache-2.0
"""What durable writing is made of: new files, whole writes, and what was written synced to the disk.

A file replaced whole, with two guarantees: `replace_durably` on a disk, `replace_in_ram` on tmpfs.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import stat
from pathlib import Path

from linetap_core.durable.steps import step

TEMPORARY = ".tmp"
_DIRECTORY_MODE = 0o750
FILE_MODE = 0o640
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK_BYTES = 1024 * 1024
_LIBC = ctypes.CDLL(None, use_errno=True)


def make_directories(root: Path, path: Path) -> None:
    """Every directory between `root`, which must exist, and `path`, each synced into the one above it."""
    above = root
    for name in path.relative_to(root).parts:
        below = above / name
        with contextlib.suppress(FileExistsError):
            below.mkdir(mode=_DIRECTORY_MODE)
            sync_directory(above)
        above = below


def create(path: Path) -> int:
    """A descriptor of a new file; FileExistsError rather than an old one: its key may have been used on it."""
    return os.open(path, NEW, FILE_MODE)


def write_all(fd: int, data: bytes) -> None:
    """A full disk takes a part and refuses the rest."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    step()


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    step()


def sync_file_system(path: Path) -> None:
    """Everything that was written in the file system of `path`, syncfs(2): one wait instead of a thousand."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _LIBC.syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(fd)


def remove_temporary(path: Path) -> None:
    """What a killed `replace_durably` left in a directory."""
    for entry in path.iterdir():
        if entry.name.startswith(".") and entry.name.endswith(TEMPORARY):
            entry.unlink()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prune(day: Path) -> None:
    """Removes folders of a day, its month and its year, as far as they are empty."""
    for folder in (day, day.parent, day.parent.parent):
        try:
            folder.rmdir()
        except OSError:
            return
        sync_directory(folder.parent)


_PRIVATE_MODE = 0o600


def replace_durably(path: Path, data: bytes, like: Path | None = None, mode: int | None = None) -> None:
    """`path` holds all of `data`, on disk, or what it held before and an OSError is raised: file and folder are synced.

    `like`: a file that the same people may read; where it is none, `mode`.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        temporary.unlink(missing_ok=True)  # of one that was killed; or a link, which is not written through
        _write_whole(os.open(temporary, NEW, FILE_MODE), data, like, mode)
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def move_durably(fresh: Path, path: Path) -> None:
    """Rename a file or folder that is on disk already, and sync the folder that it is in now. OSError: nothing moved,
    or the sync failed."""
    fresh.rename(path)
    sync_directory(path.parent)


def replace_in_ram(path: Path, data: bytes, private: bool = False) -> None:
    """For tmpfs: a rename without a sync. A reader sees the old or the new; a power cut leaves neither.

    `private`: for this service alone; others of the folder's group may read the rest.
    """
    fresh = f".{path.name}.new"
    at = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=at)  # of one that was killed; or whatever else, which is not written through
        fd = os.open(fresh, NEW, _PRIVATE_MODE if private else FILE_MODE, dir_fd=at)
        try:
            view = memoryview(data)
            while view:  # not write_all: on tmpfs there is no disk that a step could be counted of
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
            with contextlib.suppress(OSError):  # a group that is not ours: the folder's own has to do
                os.fchown(fd, -1, about.st_gid)
            mode = about.st_mode & 0o777
        if mode is not None:
            os.fchmod(fd, mode)
        os.fsync(fd)
    finally:
        os.close(fd)
