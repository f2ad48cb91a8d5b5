# SPDX-License-Identifier: Apache-2.0
"""Broken small files: renamed beside the original, and listed in the alert `file_broken`.

`commands.json` becomes `commands.json.broken-1`, the next one `-2`, and so on; the newest KEPT of each file remain.
They are for the person who examines the medium; no program reads them again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path

from linetap_core.clock import NS_PER_S, S_PER_DAY, SYSTEM, Clock
from linetap_core.durable.files import sync_directory

KEPT = 3
STANDS_S = 7 * S_PER_DAY  # time for which a file that an earlier process set aside stays in the alert
MOST_NAMES = 16  # in one alert
_ASIDE = re.compile(r"(?P<name>.+)\.broken-(?P<number>[1-9][0-9]{0,8})")
_MOST_ENTRIES = 100_000

log = logging.getLogger("linetap.durable")
_found: dict[str, None] = {}


def names() -> list[str]:
    """The files named in the alert, each with its folder, in the order of detection."""
    return list(_found)[:MOST_NAMES]


def forget() -> None:
    """Empties the alert's list, for tests that play several processes."""
    _found.clear()


def report(path: Path, why: object) -> None:
    """Logs the file and adds it to the alert, once for each process. For files that cannot be moved or are not ours;
    they stay in place.
    """
    if _name(path) not in _found:
        log.error("file_broken: %s: %s", path, why)
        _found[_name(path)] = None


def set_aside(path: Path, why: object, replaced: bool = False) -> Path | None:
    """Moves the file to its next `.broken-N`, logs it, adds it to the alert, and returns the new path; None if the
    folder cannot be changed, and the file stays.

    `replaced`: the caller replaces the file at once. Until then the file also keeps its own name, if hard links exist:
    another service that reads meanwhile must not find it missing.
    """
    log.error("file_broken: %s: %s", path, why)
    _found[_name(path)] = None
    try:
        aside = path.with_name(f"{path.name}.broken-{_next_number(path)}")
        _name_aside(path, aside, replaced)
    except OSError as error:
        log.error("file_broken: %s: it stays where it is: %s", path, error.strerror)
        return None
    with contextlib.suppress(OSError):
        sync_directory(path.parent)
    return aside


def _name_aside(path: Path, aside: Path, replaced: bool) -> None:
    if replaced:
        with contextlib.suppress(OSError):  # a folder, a file system without hard links
            os.link(path, aside, follow_symlinks=False)
            return
    path.rename(aside)


def restore_alerts(folder: Path, clock: Clock = SYSTEM) -> None:
    """Adds the files that earlier processes set aside there recently to the alert. Ages are by the file system's clock:
    a wrong clock only changes how long the alert lasts.
    """
    now_s = clock.utc_ns() / NS_PER_S
    for entry in _entries(folder):
        match = _ASIDE.fullmatch(entry)
        with contextlib.suppress(OSError):
            if match and abs(now_s - os.lstat(folder / entry).st_ctime) < STANDS_S:
                _found[_name(folder / match["name"])] = None


def original(name: str) -> str | None:
    """The original name of a file that was set aside; None for any other file."""
    match = _ASIDE.fullmatch(name)
    return match["name"] if match else None


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _next_number(path: Path) -> int:
    """The next number; removes the oldest files beyond KEPT."""
    numbers = []
    for entry in _entries(path.parent):
        match = _ASIDE.fullmatch(entry)
        if match and match["name"] == path.name:
            numbers.append(int(match["number"]))
    numbers.sort()
    for number in numbers[: max(0, len(numbers) - KEPT + 1)]:
        with contextlib.suppress(OSError):
            path.with_name(f"{path.name}.broken-{number}").unlink()
    return numbers[-1] + 1 if numbers else 1


def _entries(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [entry.name for _, entry in zip(range(_MOST_ENTRIES), found, strict=False)]
    except OSError:
        return []
