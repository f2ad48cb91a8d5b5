# SPDX-License-Identifier: Apache-2.0
"""Logs that were set aside because they did not fit their own head: `log.before-1` and so on, as they were found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from linetap_core import jsontext
from linetap_core.durable import files
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.leaflog import LeafLog
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.records import CallEvent

_CARRIED = b'"in_force"'  # what the next start is compared with: a log that begins anew must not forget it


def place(number: int) -> str:
    """Its name in the vault."""
    return f"{unitlog.FOLDER}.before-{number}"


def numbers(vault: Path) -> list[int]:
    """Of those that are there, in order."""
    try:
        found = [unitlog.KEPT.fullmatch(path.name) for path in vault.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in found if match is not None)


def set_aside(folder: Path) -> int:
    """Its number. OSError: it is where it was."""
    vault = folder.parent
    number = max(numbers(vault), default=0) + 1
    files.move_durably(folder, vault / place(number))
    return number


def carried(folder: Path) -> list[bytes]:
    """The leaf of a log that was set aside without which the new one would know less of what weakens."""
    last: list[bytes] = []
    for line in leaflog.lines_of(folder / leaflog.LEAVES):
        if _CARRIED in line and _is_whole(line) and (leaf := _read(line)) is not None and leaf.kind == "in_force":
            last = [line]
    return last


def name_of(log: LeafLog) -> str:
    """The name in its first leaf; empty if there is none."""
    first = next(log.leaves(), None)
    leaf = None if first is None else _read(first)
    return leaf.log if leaf is not None and leaf.kind == "log_begun" else ""


def begun(log: LeafLog) -> CallEvent | None:
    """The event for a log whose first leaf says that it replaced another."""
    first = next(log.leaves(), None)
    try:
        leaf = jsontext.decode(first or b"", type=_Begun)
    except ValueError:
        return None
    if leaf.kind != "log_begun":
        return None
    return CallEvent(seq=0, event="log_begun", at=leaf.at, unit="", before=leaf.before, why=leaf.why)


class _Begun(msgspec.Struct):
    kind: str
    at: str
    before: str = ""
    why: str = ""


def _is_whole(line: bytes) -> bool:
    """Every byte as it would be written: nothing rotten goes along that shows."""
    try:
        return leaflog.encode(jsontext.decode(line, type=dict[str, Any])) == line
    except ValueError:
        return False


def _read(line: bytes) -> Leaf | None:
    try:
        return jsontext.decode(line, type=Leaf)
    except ValueError:
        return None
