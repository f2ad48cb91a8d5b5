# SPDX-License-Identifier: Apache-2.0
"""Finds the closes of calls in a log of years, and the calls that may lack one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from linetap.recorder.vault.log.leaves import decode_leaf, kind_and_call
from linetap_core.durable import folders
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.leaflog import LeafLog


def find_closes(log: LeafLog, leaves: Callable[[int], Iterator[bytes]], calls: Collection[str]) -> dict[str, int]:
    """The numbers of the calls' closes. Leaves are in the order of time unless the clock was set back, so leaves before
    the earliest call are searched last: for calls without an `open`, which precedes the close.

    `leaves` yields those of `log` from a number on, in steps of the thread.
    """
    found, wanted = dict[str, int](), {call_id for call_id in calls if sealed.CALL_ID.fullmatch(call_id)}
    if not wanted:
        return found
    began = min(wanted).partition("-")[0]  # its time

    def earlier(line: bytes) -> bool:
        leaf = decode_leaf(line)
        return leaf is not None and leaf.at.replace("-", "").replace(":", "") < began

    begin, opened = log.index_before(earlier), set[str]()
    for first, end in ((begin, log.size), (0, begin)):
        for index, line in zip(range(first, end), leaves(first), strict=False):
            if not wanted:
                return found
            kind, call_id = kind_and_call(line, wanted)
            if kind == "open":
                opened.add(call_id)
            elif kind == "close":
                found[call_id] = index
                wanted.discard(call_id)
        wanted -= opened
    return found


def calls_in(vault: Path, days: int | None) -> Iterator[str]:
    """Yields the calls of the newest `days` day folders, or of all folders."""
    found = sorted(vault.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"))
    for folder in found if days is None else found[-days:]:
        yield from (name for name in folders.names_found(folder) if sealed.CALL_ID.fullmatch(name))
