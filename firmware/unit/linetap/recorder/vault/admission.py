# SPDX-License-Identifier: Apache-2.0
"""Decides whether new calls may be recorded: not below the reserve of room and of files, not on a failing disk, not
without signatures. Also keeps the lines at fault, one file each in the vault, so that a power cut does not clear a
fault.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
from pathlib import Path

import msgspec

from linetap.config.schema import Config
from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.durable import folders
from linetap_core.durable.smallfile import SmallFile

UNIT_KEY = "unit_key"  # refused for lack of signatures
AGAIN_BYTES = 16 << 20  # hysteresis above the reserve
RESERVE_FILES = 1024  # that can still be made: a call has some ten, and its end needs the last of them

log = logging.getLogger("linetap.recorder.vault")


class Admission:
    """The admission of new calls. `refused`: the code of the fault, or None. A fault's beginning is logged once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.refused: str | None = None

    def update(self, free_bytes: int, free_files: int | None, waiting: int) -> None:
        """Decides anew after each turn with a working disk. `free_files`: None if the file system has no limit.
        `waiting`: the number of jobs without a signature if it is too large, else 0."""
        reserve_mb = self._config.storage.reserve_mb
        reserve = reserve_mb << 20
        if waiting and not self.refused:
            self.refuse(f"{waiting} things wait for a signature", UNIT_KEY)
        elif free_bytes < reserve and not self.refused:
            self.refuse(f"{free_bytes >> 20} MiB free, the reserve is {reserve_mb}")
        elif free_files is not None and free_files < RESERVE_FILES and not self.refused:
            self.refuse(f"{free_files} more files can be made, the reserve is {RESERVE_FILES}")
        elif (
            self.refused
            and not waiting
            and free_bytes >= reserve + min(AGAIN_BYTES, reserve)
            and (free_files is None or free_files >= 2 * RESERVE_FILES)
        ):
            log.warning("%s is over: recording goes on", self.refused)
            self.refused = None

    def disk_failed(self, error: OSError) -> str:
        """Refuses new calls; returns the code, which is also the cause of the gaps that may follow."""
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk_error"
        self.refuse(str(error), code)
        return code

    def refuse(self, why: str, code: str = "disk_full") -> None:
        """Refuses new calls; no effect if they are already refused for another reason."""
        if not self.refused:
            log.error("%s: %s: %s; new calls are not recorded until this is over", code, self._config.vault, why)
            self.refused = code


FOLDER = "faults"

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)


class _Fault(msgspec.Struct):
    notice_not_heard_since: str


_FILE = SmallFile("line_fault", _Fault, 4096, check=lambda fault: parse_rfc3339(fault.notice_not_heard_since))


def write(vault: Path, line: int, since_ns: int | None) -> None:
    path = vault / FOLDER / f"{line:02d}.json"
    if since_ns is None:
        path.unlink(missing_ok=True)
        return
    folders.make(vault, path.parent)
    _FILE.replace(path, _Fault(rfc3339(since_ns)))


def load(vault: Path) -> dict[int, int]:
    """Returns the start of each fault (UTC ns), by line. An unreadable file still counts as a fault, with time 0."""
    found = {}
    for path in sorted((vault / FOLDER).glob("[0-9]*.json")):
        if not _NUMBER.fullmatch(path.stem):
            continue
        line, fault = int(path.stem), _FILE.load(path)
        found[line] = parse_rfc3339(fault.notice_not_heard_since) if fault is not None else 0
        if fault is None:
            with contextlib.suppress(OSError):
                write(vault, line, 0)  # the file that was set aside is not read at the next start
    return found
