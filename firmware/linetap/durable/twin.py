# SPDX-License-Identifier: Apache-2.0
"""A small file that nothing else knows, kept twice: NAME, and NAME.twin beside it.

The twin is written after the file, so that after a power cut it is the same or the one before. It is read only where
the file is broken: one that is gone has been taken away, and that is for its reader to judge.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from linetap.durable import broken
from linetap.durable.envelope import Broken
from linetap.durable.smallfile import SmallFile

SUFFIX = ".twin"


def twin_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}")


def replace_both[T](file: SmallFile[T], path: Path, value: T) -> None:
    """OSError: the file is the old or the new one, and so is its twin."""
    file.replace(path, value)
    file.replace(twin_of(path), value)


def read_either[T](file: SmallFile[T], path: Path) -> T:
    """For the file's owner. FileNotFoundError: it is gone. Broken: neither of them can be used; both are set aside and
    alarmed. A twin that is broken or gone is made anew."""
    try:
        found = file.read(path)
    except Broken as error:
        twin = file.load(twin_of(path))
        if twin is None:
            broken.set_aside(path, error)
            raise
        broken.set_aside(path, f"{error}; its twin is taken")
        file.replace(path, twin)
        return twin
    if file.load(twin_of(path)) is None:
        with contextlib.suppress(OSError):  # it is written again with the next change
            replace_both(file, path, found)  # the first too: one of version 0.1 gets its envelope
    return found
