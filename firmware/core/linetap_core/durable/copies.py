# SPDX-License-Identifier: Apache-2.0
"""Second copies of small files that cannot be restored from elsewhere.

A single file: NAME, and NAME.twin beside it. The twin is written after the file, so that after a power cut it has the
same or the previous content. It is read only if the file is broken: a missing file was removed, which its reader
interprets.

A set of signed files that belong together: one small file beside them contains all of them. A signature or a hash shows
that a file has changed, but not its former content. The copy has its own SHA-256, is written after the files, and is
read only if they do not match each other; its content is verified like the originals.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from linetap_core import plainfile, system
from linetap_core.durable import broken
from linetap_core.durable.files import replace_durably
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.system import DAMAGE

TWIN_SUFFIX = ".twin"


def twin_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{TWIN_SUFFIX}")


def replace_both[T](file: SmallFile[T], path: Path, value: T) -> None:
    """Replaces the file and then its twin. After an OSError each has the old or the new content."""
    file.replace(path, value)
    file.replace(twin_of(path), value)


def read_file_or_twin[T](file: SmallFile[T], path: Path, stays: bool = False) -> T:
    """Reads the file or its twin, for the file's owner, and rewrites a missing or broken twin.

    FileNotFoundError: the file is missing. Broken: both are damaged; both are listed in the alert, and set aside unless
    `stays`, for files whose absence has a meaning.
    """
    twin = twin_of(path)
    try:
        found = file.read(path)
    except Broken as error:
        other = file.load_in_place(twin)
        if other is not None:
            broken.set_aside(path, f"{error}; its twin is taken", replaced=True)
            file.replace(path, other)
            return other
        for each in () if stays else (path, twin):
            broken.set_aside(each, error)
        broken.report(path, error)
        raise
    if file.load(twin) is None:
        with contextlib.suppress(OSError):  # the next change writes it again
            replace_both(file, path, found)  # the file too: a file of version 0.1 gets its envelope
    return found


SET_SUFFIX = ".copy"
_MOST_BYTES = 1 << 22

log = logging.getLogger("linetap.durable")


class _Copy(msgspec.Struct, frozen=True):
    files: dict[str, bytes]


_FILE = SmallFile("copy", _Copy, _MOST_BYTES)


def keep_set(copy: Path, names: Iterable[str], replaces: bool = True) -> None:
    """Renews the copy of these valid files in the same folder; an intact copy of others only if `replaces`. After a
    failure the next start writes it.
    """
    with contextlib.suppress(OSError):
        now, kept = _Copy({name: plainfile.read(copy.with_name(name), _MOST_BYTES) for name in names}), _FILE.load(copy)
        if kept is None or (replaces and kept != now):
            _FILE.replace(copy, now)


def mend_set(copy: Path, why: object) -> bool:
    """Restores files that do not match each other: those that differ from the copy are set aside and replaced. False if
    there is no copy, or no file differs.
    """
    kept = _FILE.load(copy)
    if kept is None:
        return False
    mended = False
    for name, data in kept.files.items():
        path = copy.with_name(Path(name).name)
        try:
            now: bytes | None = plainfile.read(path, _MOST_BYTES)
        except OSError:
            now = None
        if now == data:
            continue
        broken.set_aside(path, f"{why}; its copy is taken", replaced=True)
        with contextlib.suppress(OSError):
            replace_durably(path, data)
            mended = True
    return mended


# --- A copy of a file written by a person (unit.toml, a notice): a flipped bit must not stop a service --------
# `unit.toml.kept` beside it has its bytes, inode and modification time. An edit, a replacement or a restore changes one
# of these; a bad medium does not. Different bytes under the same inode and time are therefore damage, and the copy is
# used; other changes are edits. Whether an edit takes effect against a binding copy: config/unsignededit.py.


SUFFIX = ".kept"
MOST_BYTES = 4 << 20  # a notice of a minute has a quarter of that


class _Kept(msgspec.Struct, frozen=True):
    inode: int
    mtime_ns: int
    data: bytes
    binds: bool = False  # an edit is compared with these bytes before it takes effect
    granted: str = ""  # SHA-256 of the bytes that an authorized command will write


_KEPT_FILE = SmallFile("kept", _Kept, 2 * MOST_BYTES)


def kept_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}")


def damaged(path: Path) -> bytes | None:
    """The original bytes, with an alert, if the medium has changed the file. None: unchanged, edited, or not copied."""
    path = path.resolve()
    kept = _KEPT_FILE.load_in_place(kept_of(path))
    if kept is None:
        return None
    try:
        now = _now(path)
    except Broken as error:
        broken.report(path, f"{error}; its copy counts")
        return kept.data
    except OSError:
        return None
    if (now.inode, now.mtime_ns) != (kept.inode, kept.mtime_ns) or now.data == kept.data:
        return None
    broken.report(path, "it differs from the written data; its copy is used")
    return kept.data


def binding(path: Path, home: Path | None = None) -> bytes | None:
    """The bytes against which an edit must be checked. None: there is no edit, it is granted, or the copy does not
    bind. `home`: the file's original path, even if a link of that name now points elsewhere.
    """
    path = path.resolve()
    kept = _KEPT_FILE.load_in_place(kept_of(home or path))
    if kept is None or not kept.binds:
        return None
    try:
        data = _now(path).data
    except Broken:
        return None
    except OSError as error:  # a folder, a FIFO, a huge file: put there on purpose
        return kept.data if error.errno == errno.EINVAL else None
    return None if data == kept.data or hashlib.sha256(data).hexdigest() == kept.granted else kept.data


def grant(path: Path, data: bytes) -> None:
    """Permits the folder's owner to replace the file with `data`, which then does not count as an edit."""
    path = path.resolve()
    if (kept := _KEPT_FILE.load(kept_of(path))) is not None:
        _write(path, msgspec.structs.replace(kept, granted=hashlib.sha256(data).hexdigest()))


def keep(path: Path, binds: bool = False, sha256: str | None = None) -> None:
    """Renews the copy, for the folder's owner after the file was found valid. A damaged file is set aside and restored
    from the copy. `sha256`: of the content found valid; other content is left for the next time. OSError: nothing has
    changed.
    """
    path = path.resolve()
    found = damaged(path)
    if found is not None:
        aside = broken.set_aside(path, "it differs from the written data", replaced=True)
        replace_durably(path, found, like=aside)
    now = msgspec.structs.replace(_now(path), binds=binds)
    if sha256 in (None, hashlib.sha256(now.data).hexdigest()) and _KEPT_FILE.load(kept_of(path)) != now:
        _write(path, now)


def keep_if(path: Path, check: Callable[[bytes], object]) -> None:
    """`keep`, if `check` raises nothing for the file or, where the medium has changed it, for its copy. Nothing without
    a file."""
    try:
        data = damaged(path) or path.read_bytes()
    except FileNotFoundError:
        return
    check(data)
    keep(path)


def _write(path: Path, kept: _Kept) -> None:
    replace_durably(kept_of(path), _KEPT_FILE.encode(kept), like=path)


def _now(path: Path) -> _Kept:
    """The present file. Broken if the medium cannot read it."""
    try:
        fd = os.open(path, system.READ)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
                raise OSError(errno.EINVAL, "not a small file", str(path))
            return _Kept(found.st_ino, found.st_mtime_ns, file.read(MOST_BYTES))
    except OSError as error:
        if error.errno in DAMAGE:
            raise Broken(error.strerror or "it cannot be read") from None
        raise
