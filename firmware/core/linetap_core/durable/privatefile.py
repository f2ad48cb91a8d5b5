# SPDX-License-Identifier: Apache-2.0
"""Files with a key or a conversation: readable only by their owner, never overwritten, finally destroyed; and new files
that everybody may read (`write_public`).

The spare blocks of flash memory cannot be overwritten: the medium itself must be destroyed too.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from linetap_core import system
from linetap_core.durable.files import PUBLIC_MODE, move_durably, write_all
from linetap_core.errors import BadInput


def create(path: Path) -> BinaryIO:
    """Opens a new file of mode 0600; BadInput if the name is taken or the folder is missing."""
    try:
        fd = os.open(path, system.NEW, 0o600)
    except FileExistsError:
        raise BadInput(f"{path}: exists and is not overwritten; another name expected") from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; a file in a folder you may write to expected") from None
    return os.fdopen(fd, "wb")


def require_new(path: Path) -> None:
    """Raises BadInput if the name is taken or the folder is missing: before anything is handed out."""
    create(path).close()
    path.unlink()


def write(path: Path, data: bytes) -> None:
    """Writes `data` to a new file of mode 0600, synced with its name; on an error no part of it remains."""
    new = create(path)
    try:
        with new as file:
            write_all(file.fileno(), data)  # not through a buffer, which would try the write a second time
            os.fsync(file.fileno())
        system.sync_folder(path.absolute().parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise BadInput(f"{path}: {error.strerror}") from None


def write_public(path: Path, data: bytes) -> None:
    """Like `write`, then readable by every user: a certificate, a public key, a signed document."""
    write(path, data)
    path.chmod(PUBLIC_MODE)


def replace(path: Path, data: bytes) -> None:
    """Like `write`, but over an existing file, which remains until the new one is on disk."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    write(fresh, data)
    move_durably(fresh, path)


def require_wipeable(path: Path) -> None:
    """Raises BadInput unless the path is a regular file with one link."""
    try:
        info = path.lstat()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an epoch's private file expected") from None
    if not stat.S_ISREG(info.st_mode):
        raise BadInput(f"{path}: not a regular file; name the file itself")
    if info.st_nlink != 1:
        raise BadInput(f"{path}: has {info.st_nlink} names, and would live on under the others; unlink those first")


def wipe(path: Path) -> None:
    """Overwrites the file with noise and with zeros, unlinks it and syncs. BadInput if the medium refuses."""
    overwrite(path)
    remove(path)


def overwrite(path: Path) -> None:
    """Overwrites the file with noise and with zeros, synced. BadInput if the medium refuses."""
    try:
        with path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            for data in (os.urandom(size), bytes(size)):
                file.seek(0)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def remove(path: Path) -> None:
    """Removes the file and syncs its folder. BadInput if the medium refuses."""
    try:
        path.unlink()
        system.sync_folder(path.absolute().parent)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
