# SPDX-License-Identifier: Apache-2.0
"""Logs that were set aside because they did not match their own head: `log.before-1` and so on, unchanged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from linetap_core import jsontext, plainfile, system
from linetap_core.durable import files
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.leaflog import LeafLog
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.records import CallEvent
from linetap_core.system import is_damage

_BLOCK_BYTES = 4096
_MOST_BAD_BLOCKS = 1000  # a medium may need seconds for each
_CARRIED = {kind: f'"{kind}"'.encode("ascii") for kind in ("in_force", "roles")}  # each start compares these


def place(number: int) -> str:
    """The name of such a log in the vault."""
    return f"{unitlog.FOLDER}.before-{number}"


def numbers(vault: Path) -> list[int]:
    """The numbers of the existing ones, in order."""
    try:
        found = [unitlog.KEPT.fullmatch(path.name) for path in vault.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in found if match is not None)


def set_aside(folder: Path) -> int:
    """Sets a log aside and returns its number. OSError: not moved."""
    vault = folder.parent
    number = max(numbers(vault), default=0) + 1
    files.move_durably(folder, vault / place(number))
    return number


def carried_leaves(folder: Path) -> list[bytes]:
    """The leaves of a log set aside that the new log needs: without them, facts about weakenings would be lost, and an
    older copy of roles.json would not be found.
    """
    last: dict[str, bytes] = {}
    for line in readable_lines(folder / leaflog.LEAVES):
        for kind, mark in _CARRIED.items():
            if mark in line and _is_whole(line) and (leaf := _read(line)) is not None and leaf.kind == kind:
                last[kind] = line
    return [*last.values()]


def readable_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, and fragments of those in lost blocks. None of a file that is missing or lost."""
    try:
        with plainfile.opened(path) as file:
            size, at, bad, rest = os.fstat(file.fileno()).st_size, 0, 0, b""
            while at < size and bad < _MOST_BAD_BLOCKS:
                try:
                    block = system.read_at(file.fileno(), _BLOCK_BYTES, at)
                except OSError as error:
                    if not is_damage(error):
                        raise
                    block, bad, at = b"\n", bad + 1, at + _BLOCK_BYTES - 1
                bad += b"\n" not in block  # longer than any leaf
                at += len(block) or size
                *whole, rest = (rest + block).split(b"\n")
                yield from whole
                rest = rest[:_BLOCK_BYTES]
    except FileNotFoundError:
        return
    except OSError as error:
        if not is_damage(error):
            raise


def name_of(log: LeafLog) -> str:
    """The log's name in its first leaf; empty without one."""
    first = next(log.leaves(), None)
    leaf = None if first is None else _read(first)
    return leaf.log if leaf is not None and leaf.kind == "log_begun" else ""


def begun_event(log: LeafLog) -> CallEvent | None:
    """The event for a log that, by its first leaf, replaced another."""
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
    """Whether every byte is as it would be written: no visibly damaged leaf is carried over."""
    try:
        return leaflog.encode(jsontext.decode(line, type=dict[str, Any])) == line
    except ValueError:
        return False


def _read(line: bytes) -> Leaf | None:
    try:
        return jsontext.decode(line, type=Leaf)
    except ValueError:
        return None
