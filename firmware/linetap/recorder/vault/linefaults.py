# SPDX-License-Identifier: Apache-2.0
"""Lines at fault, one file each in the vault: what a power cut must not make forgotten until somebody has looked."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from linetap.clock import parse_rfc3339, rfc3339
from linetap.durable.replace import replace_durably

FOLDER = "faults"

log = logging.getLogger("linetap.recorder.vault")


class _Fault(msgspec.Struct):
    notice_not_heard_since: str


def write(vault: Path, line: int, since_ns: int | None) -> None:
    path = vault / FOLDER / f"{line:02d}.json"
    if since_ns is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(exist_ok=True)
    replace_durably(path, msgspec.json.encode(_Fault(rfc3339(since_ns))) + b"\n")


def load(vault: Path) -> dict[int, int]:
    """Since when (UTC ns), by line. A file that cannot be read is a fault all the same: since for ever."""
    found = {}
    for path in sorted((vault / FOLDER).glob("[0-9]*.json")):
        try:
            fault = msgspec.json.decode(path.read_bytes(), type=_Fault)
            found[int(path.stem)] = parse_rfc3339(fault.notice_not_heard_since)
        except (OSError, ValueError) as error:
            log.error("fault_damaged: %s: %s; the line is taken for one at fault", path, error)
            found[int(path.stem)] = 0
    return found
