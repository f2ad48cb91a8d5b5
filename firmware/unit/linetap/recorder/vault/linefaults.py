# SPDX-License-Identifier: Apache-2.0
"""Lines at fault, one file each in the vault, so that a power cut does not clear a fault before it was dealt with."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import msgspec

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.durable.smallfile import SmallFile

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
    path.parent.mkdir(exist_ok=True)
    _FILE.replace(path, _Fault(rfc3339(since_ns)))


def load(vault: Path) -> dict[int, int]:
    """Returns since when (UTC ns), by line. A file that cannot be read still counts as a fault, with time 0."""
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
