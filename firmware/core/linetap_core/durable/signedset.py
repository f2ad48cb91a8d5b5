# SPDX-License-Identifier: Apache-2.0
"""Signed files that belong together, once more in one small file beside them.

A signature or a hash says that one of them has changed, and never how it was. The copy has a SHA-256 of its own, is
written after them, and is read only where they do not fit each other; what it gives back is judged like what lay there.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from linetap_core.durable import broken
from linetap_core.durable.replace import replace_durably
from linetap_core.durable.smallfile import SmallFile

SUFFIX = ".copy"
_MOST_BYTES = 1 << 22

log = logging.getLogger("linetap.durable")


class _Copy(msgspec.Struct, frozen=True):
    files: dict[str, bytes]


_FILE = SmallFile("copy", _Copy, _MOST_BYTES)


def keep(copy: Path, names: Iterable[str]) -> None:
    """Renews the copy of these files, which lie beside it and are good. What cannot be written now is written at the
    next start."""
    with contextlib.suppress(OSError):
        now = _Copy({name: copy.with_name(name).read_bytes() for name in names})
        if _FILE.load(copy) != now:
            _FILE.replace(copy, now)


def mend(copy: Path, why: object) -> bool:
    """For files that do not fit each other: those that differ from the copy are set aside and written as they were.
    False: there is no copy, or they are as in it."""
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
        broken.set_aside(path, f"{why}; its copy is taken")
        with contextlib.suppress(OSError):
            replace_durably(path, data)
            mended = True
    return mended
