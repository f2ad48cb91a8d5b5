# SPDX-License-Identifier: Apache-2.0
"""A copy of what a person has written (unit.toml, a notice), so that a flipped bit in it stops no service.

`unit.toml.kept` beside it holds its bytes, and which file it was: inode and time of its last change. Whoever edits a
file, replaces it or restores it moves one of these, a medium that loses a bit does not. So a file that says another
thing at the same inode and time is damaged, and its copy counts; every other change is somebody's word.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import msgspec

from linetap.durable import broken, envelope
from linetap.durable.envelope import Broken
from linetap.durable.replace import replace_durably
from linetap.durable.smallfile import DAMAGE, SmallFile

SUFFIX = ".kept"
MOST_BYTES = 4 << 20  # a notice of a minute has a quarter of it


class _Kept(msgspec.Struct, frozen=True):
    inode: int
    mtime_ns: int
    data: bytes


_FILE = SmallFile("kept", _Kept, 2 * MOST_BYTES)


def kept_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}")


def damaged(path: Path) -> bytes | None:
    """What stood in it, where the medium has changed it since; told. None: it is as it was written, or nobody keeps
    it, and whoever reads it sees what is wrong."""
    path = path.resolve()
    kept = _FILE.look(kept_of(path))
    if kept is None:
        return None
    try:
        now = _now(path)
    except Broken as error:
        broken.tell(path, f"{error}; its copy counts")
        return kept.data
    except OSError:
        return None
    if (now.inode, now.mtime_ns) != (kept.inode, kept.mtime_ns) or now.data == kept.data:
        return None
    broken.tell(path, "it is not what was written; its copy counts")
    return kept.data


def keep(path: Path) -> None:
    """By whoever may write in its folder, when the file has proved good: its copy is made anew. One that is damaged is
    set aside, and has the copy's bytes again. OSError: nothing has changed."""
    path = path.resolve()
    found = damaged(path)
    if found is not None:
        aside = broken.set_aside(path, "it is not what was written")
        replace_durably(path, found, like=aside)
    now, place = _now(path), kept_of(path)
    if _FILE.load(place) != now:
        replace_durably(place, envelope.wrap(_FILE.kind, msgspec.json.encode(now) + b"\n"), like=path)


def _now(path: Path) -> _Kept:
    """Broken: the medium has lost it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
                raise OSError(errno.EINVAL, "not a small file", str(path))
            return _Kept(found.st_ino, found.st_mtime_ns, file.read(MOST_BYTES))
    except OSError as error:
        if error.errno in DAMAGE:
            raise Broken(error.strerror or "it cannot be read") from None
        raise
