# SPDX-License-Identifier: Apache-2.0
"""Second copies of small files that cannot be restored from elsewhere.

A single file: NAME, and NAME.twin beside it. The twin is written after the file, so that after a power cut it is the
same or the previous content. It is read only where the file is broken: a missing file was removed, and its reader
decides what that means.

A set of signed files that belong together: one small file beside them holds all of them. A signature or a hash shows
that a file has changed, and not what it was. The copy has its own SHA-256, is written after them, and is read only
where they do not match each other; what it restores is verified like the originals.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from linetap_core.durable import broken
from linetap_core.durable.files import replace_durably
from linetap_core.durable.smallfile import Broken, SmallFile

TWIN_SUFFIX = ".twin"


def twin_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{TWIN_SUFFIX}")


def replace_both[T](file: SmallFile[T], path: Path, value: T) -> None:
    """Replaces the file and then its twin. OSError: each of them is the old or the new content."""
    file.replace(path, value)
    file.replace(twin_of(path), value)


def read_either[T](file: SmallFile[T], path: Path, stays: bool = False) -> T:
    """The content of the file or of its twin, for the file's owner. FileNotFoundError: the file is missing. Broken:
    both are damaged; both are listed in the alert, and set aside unless `stays`, for files whose absence has a
    meaning. A missing or broken twin is rewritten."""
    twin = twin_of(path)
    try:
        found = file.read(path)
    except Broken as error:
        other = file.look(twin)
        if other is not None:
            broken.set_aside(path, f"{error}; its twin is taken", replaced=True)
            file.replace(path, other)
            return other
        for each in () if stays else (path, twin):
            broken.set_aside(each, error)
        broken.tell(path, error)
        raise
    if file.load(twin) is None:
        with contextlib.suppress(OSError):  # the next change writes it again
            replace_both(file, path, found)  # the file too: one of version 0.1 gets its envelope
    return found


SET_SUFFIX = ".copy"
_MOST_BYTES = 1 << 22

log = logging.getLogger("linetap.durable")


class _Copy(msgspec.Struct, frozen=True):
    files: dict[str, bytes]


_FILE = SmallFile("copy", _Copy, _MOST_BYTES)


def keep_set(copy: Path, names: Iterable[str]) -> None:
    """Renews the copy of these files, which lie beside it and are valid. If it cannot be written now, it is written
    at the next start."""
    with contextlib.suppress(OSError):
        now = _Copy({name: copy.with_name(name).read_bytes() for name in names})
        if _FILE.load(copy) != now:
            _FILE.replace(copy, now)


def mend_set(copy: Path, why: object) -> bool:
    """For files that do not match each other: those that differ from the copy are set aside and restored. False:
    there is no copy, or the files are the same as in it."""
    kept = _FILE.load(copy)
    if kept is None:
        return False
    mended = False
    for name, data in kept.files.items():
        path = copy.with_name(Path(name).name)
        try:
            now: bytes | None = path.read_bytes()
        except OSError:
            now = None
        if now == data:
            continue
        broken.set_aside(path, f"{why}; its copy is taken", replaced=True)
        with contextlib.suppress(OSError):
            replace_durably(path, data)
            mended = True
    return mended
