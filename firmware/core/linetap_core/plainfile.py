# SPDX-License-Identifier: Apache-2.0
"""Bounded reads of files on a medium that another person may have written.

A FIFO would block its reader forever, a link may lead to any file or device, and a huge file would fill the memory.
Each is an error of a lost file (system.DAMAGE): a reader has the same answer to it as to an unreadable block.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from linetap_core import system


def read(path: Path, most_bytes: int) -> bytes:
    """The whole file. OSError if it is missing, unreadable, larger, or no plain file."""
    fd = open_plain(path)
    try:
        size = os.fstat(fd).st_size
        if size > most_bytes:
            raise OSError(errno.ENXIO, f"{size} bytes, at most {most_bytes} expected", str(path))
        return os.read(fd, size)
    finally:
        os.close(fd)


def opened(path: Path) -> BinaryIO:
    """The file, open for reading, of any size."""
    return os.fdopen(open_plain(path), "rb")


def open_plain(path: Path) -> int:
    fd = system.open_alone(path)
    try:
        require_plain(fd, path)
    except OSError:
        os.close(fd)
        raise
    return fd


def require_plain(fd: int, path: Path) -> None:
    """OSError unless the descriptor is of a plain file. Another object needs an open with O_NONBLOCK or O_RDWR."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.ENXIO, "not a plain file", str(path))
