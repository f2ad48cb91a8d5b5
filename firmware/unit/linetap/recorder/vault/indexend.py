# SPDX-License-Identifier: Apache-2.0
"""The end of an index: with its epoch's day, by retention time, and never earlier.

What flash keeps of it opens with the epoch's index key alone, which the desk destroys.
"""

from __future__ import annotations

import logging
from pathlib import Path

from linetap.recorder.vault import lifetime
from linetap.recorder.vault.log import UnitLog
from linetap_core import jsontext
from linetap_core.clock import NS_PER_DAY, NS_PER_S, from_utc_ns
from linetap_core.durable import files
from linetap_core.errors import LinetapError
from linetap_core.evidence import index, sealed
from linetap_core.evidence.unitlog import Leaf
from linetap_core.zones import day_of_end, end_of_ns

UNDATED_EVERY_NS = NS_PER_DAY
LOOK_EVERY_NS = 3600 * NS_PER_S  # at the latest

log = logging.getLogger("linetap.recorder.vault")


class IndexEnd:
    """May raise OSError; the next tick goes on from there."""

    def __init__(self, vault: Path, zone: str, unit_log: UnitLog) -> None:
        self._vault, self._root, self._zone, self._log = vault, vault / index.FOLDER, zone, unit_log
        self._look_ns = 0  # retention time; nothing ends before
        self._undated_ns = 0
        self._calls_went = True

    def calls_went(self) -> None:
        """Some were destroyed: a segment that has no day of its own may be over."""
        self._calls_went = True

    def tick(self, now_ns: int | None, next_ns: int | None = None) -> None:
        """Remove the folder of at most one epoch that is over, and once a day segments of calls that are all gone.

        `next_ns`: the end of the call that goes next. The index of its day stays, whatever zone data says by now of
        when that day ended.
        """
        if now_ns is None:
            return
        if self._calls_went and now_ns >= self._undated_ns:
            self._end_undated()
            self._calls_went, self._undated_ns = False, now_ns + UNDATED_EVERY_NS
        if now_ns < self._look_ns:
            return
        ends = sorted(
            (end_of_ns(last_day, self._zone), name)
            for name in lifetime.names(self._root)
            if (found := index.parse_folder(name)) and (last_day := found[1])
        )
        first_kept = None if next_ns is None else day_of_end(from_utc_ns(next_ns), self._zone)
        failed = None
        for ends_ns, name in ends:
            if ends_ns > now_ns:
                break
            found = index.parse_folder(name)
            if first_kept is not None and found is not None and found[1] is not None and found[1] >= first_kept:
                self._look_ns = now_ns  # it is over when they are
                return
            try:
                _remove(self._root / name)
                return
            except OSError as error:  # the others are over too
                failed = error
        later = [ends_ns for ends_ns, _ in ends if ends_ns > now_ns]
        self._look_ns = min([*later, now_ns + LOOK_EVERY_NS])
        if failed is not None:
            raise failed

    def _end_undated(self) -> None:
        """A segment of an overflow epoch, whose calls had no day when they were sealed, goes with the last of them.

        Which these are says the log; nothing here can read it.
        """
        undated = [name for name in lifetime.names(self._root) if (found := index.parse_folder(name)) and not found[1]]
        if not undated:
            return
        calls: dict[str, set[str]] = {f"{name}/{file}": set() for name in undated for file in self._files(name)}
        for line in self._log.leaves(0):
            if b'"index"' in line and (leaf := _leaf(line)) is not None and leaf.file in calls:
                calls[leaf.file].add(leaf.call_id or "")  # an adopted one names none, and stays
        for file, named in calls.items():
            if named and all(call_id and not (self._vault / sealed.call_path(call_id)).exists() for call_id in named):
                (self._root / file).unlink()
                log.info("index %s: removed, its calls are gone", file)
        for name in undated:
            if not self._files(name):
                _remove(self._root / name)

    def _files(self, name: str) -> list[str]:
        return [file for file in lifetime.names(self._root / name) if index.parse_segment(file)]


def _leaf(line: bytes) -> Leaf | None:
    try:
        found = jsontext.decode(line, type=Leaf)
        if found.call_id is not None:
            sealed.call_ns(found.call_id)
    except (ValueError, LinetapError):
        return None
    return found if found.kind == "index" else None


def remove_epoch(vault: Path, epoch: str) -> None:
    """Everything of an epoch whose key is gone."""
    root = vault / index.FOLDER
    for name in lifetime.names(root):
        if (found := index.parse_folder(name)) and found[0] == epoch:
            _remove(root / name)


def _remove(folder: Path) -> None:
    for name in lifetime.names(folder):
        (folder / name).unlink()
    folder.rmdir()
    files.sync_directory(folder.parent)
    log.info("index of %s: removed, its time is over", folder.name)
