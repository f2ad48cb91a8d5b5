# SPDX-License-Identifier: Apache-2.0
"""A small file that nothing else knows, kept twice: NAME, and NAME.twin beside it.

The twin is written after the file, so that after a power cut it is the same or the one before. It is read only where
the file is broken: one that is gone has been taken away, and that is for its reader to judge.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from linetap_core.durable import broken
from linetap_core.durable.envelope import Broken
from linetap_core.durable.smallfile import SmallFile

SUFFIX = ".twin"


def twin_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}")


def replace_both[T](file: SmallFile[T], path: Path, value: T) -> None:
    """OSError: the file is the old or the new one, and so is its twin."""
    file.replace(path, value)
    file.replace(twin_of(path), value)


def read_either[T](file: SmallFile[T], path: Path, stays: bool = False) -> T:
    """For the file's owner. FileNotFoundError: it is gone. Broken: both are damaged; both are in the alert, and set
    aside unless `stays`, for files whose absence means something. A missing or broken twin is rewritten."""
    twin = twin_of(path)
    try:
        found = file.read(path)
    except Broken as error:
        other = file.look(twin)
        if other is not None:
            broken.set_aside(path, f"{error}; its twin is taken")
            file.replace(path, other)
            return other
        for each in () if stays else (path, twin):
            broken.set_aside(each, error)
        broken.tell(path, error)
        raise
    if file.load(twin) is None:
        with contextlib.suppress(OSError):  # it is written again with the next change
            replace_both(file, path, found)  # the first too: one of version 0.1 gets its envelope
    return found
