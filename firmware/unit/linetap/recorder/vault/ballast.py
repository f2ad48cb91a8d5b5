# SPDX-License-Identifier: Apache-2.0
"""A file that is there to be given up: on a disk without a free byte it makes room for the word about a destruction."""

from __future__ import annotations

import os
from pathlib import Path

from linetap_core.durable import files

NAME = "ballast"  # in the vault
BYTES = 256 << 10


def drop(vault: Path) -> bool:
    """Whether there was one."""
    try:
        (vault / NAME).unlink()
    except OSError:
        return False
    files.sync_directory(vault)
    return True


def make(vault: Path) -> None:
    """When there is room. OSError when there was none after all: then nothing is left of it."""
    path = vault / NAME
    if path.exists():
        return
    try:
        fd = files.create(path)
        try:
            os.posix_fallocate(fd, 0, BYTES)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    files.sync_directory(vault)
