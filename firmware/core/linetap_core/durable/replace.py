# SPDX-License-Identifier: Apache-2.0
"""A file replaced whole, with two guarantees: `replace_durably` on a disk, `replace_in_ram` on tmpfs."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from linetap_core.durable.files import FILE_MODE, NEW, TEMPORARY, sync_directory, write_all

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
