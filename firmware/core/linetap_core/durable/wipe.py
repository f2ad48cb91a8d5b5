# SPDX-License-Identifier: Apache-2.0
"""Destroying a file that holds a key. What flash keeps behind its own back nobody overwrites: that medium goes too."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from linetap_core.errors import BadInput


def require_wipeable(path: Path) -> None:
    """BadInput unless it is a file of its own, under one name."""
    try:
        info = path.lstat()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an epoch's private file would be right") from None
    if not stat.S_ISREG(info.st_mode):
        raise BadInput(f"{path}: not a regular file; name the file itself")
    if info.st_nlink != 1:
        raise BadInput(f"{path}: has {info.st_nlink} names, and would live on under the others; unlink those first")


def wipe(path: Path) -> None:
    """Overwritten with noise and with zeros, unlinked, synced. BadInput when the medium will not have it."""
    try:
        _wipe(path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def _wipe(path: Path) -> None:
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for data in (os.urandom(size), bytes(size)):
            file.seek(0)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    path.unlink()
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
