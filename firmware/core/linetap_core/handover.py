# SPDX-License-Identifier: Apache-2.0
"""Small files on tmpfs that one service writes and another reads.

The reader treats them as written by an attacker: whoever owns the folder can put a link, a FIFO, a folder or a file of
any size there, or take it away at any moment. Nothing of that may make the reader follow, block, grow or end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from linetap_core.errors import BadInput

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # no FIFO and no lease holds it up
_MOST_NAMES = 1024  # that are looked at in a folder of somebody else's


@contextmanager
def opened(folder: Path | str, name: str, most_bytes: int, copied: bool = False) -> Iterator[tuple[int, int]]:
    """Descriptor and size of a file that is read. OSError unless it is a plain file with one name, of whoever owns the
    folder, and not larger than `most_bytes`. `copied`: it may have another owner and more names, as in a vault, which
    people copy."""
    at = os.open(folder, _FOLDER)
    try:
        fd = os.open(name, _FILE, dir_fd=at)
        try:
            # Owners are compared and not named: in a user namespace of its own a service sees no other's number.
            found, owner = os.fstat(fd), os.fstat(at).st_uid
            own = copied or (found.st_nlink <= 1 and found.st_uid == owner)
            if not stat.S_ISREG(found.st_mode) or not own:
                raise OSError(errno.EINVAL, "not a plain file of the folder's owner", f"{folder}/{name}")
            if found.st_size > most_bytes:
                raise OSError(errno.EFBIG, f"larger than {most_bytes} bytes", f"{folder}/{name}")
            yield fd, found.st_size
        finally:
            os.close(fd)
    finally:
        os.close(at)


def read(folder: Path | str, name: str, most_bytes: int, copied: bool = False) -> bytes:
    """A whole file, as `opened` takes it."""
    with opened(folder, name, most_bytes, copied) as (fd, size):
        return os.read(fd, size)


def read_small(path: Path, limit_bytes: int) -> bytes:
    """A file that a person names, and that may be anything: a fifo keeps nobody waiting, since it is no file. BadInput
    says what it is instead."""
    try:
        with FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadInput(f"{path}: not a regular file")
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if len(data) > limit_bytes:
        raise BadInput(f"{path}: larger than {limit_bytes} bytes")
    return data


def names(folder: Path | str, suffix: str) -> list[str]:
    """What ends so in a folder, in order, without what is being written, and without what no text could name; of a
    crowded folder some. A folder that is not there is empty."""
    try:
        at = os.open(folder, _FOLDER)
    except OSError:
        return []
    try:
        with os.scandir(at) as entries:
            found = [entry.name for _, entry in zip(range(_MOST_NAMES), entries, strict=False)]
    finally:
        os.close(at)
    return sorted(name for name in found if name.endswith(suffix) and not name.startswith(".") and name.isprintable())


def stamp(path: Path | str) -> tuple[int, int] | None:
    """Inode and time: another one after each writing, since each is a file of its own. None: it is not there."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
