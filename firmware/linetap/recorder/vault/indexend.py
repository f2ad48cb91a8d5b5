# SPDX-License-Identifier: Apache-2.0
"""The end of an index: with its epoch's day, by retention time, and never earlier.

What flash keeps of it opens with the epoch's index key alone, which the desk destroys.
"""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

from linetap.clock import NS_PER_S, parse_rfc3339
from linetap.durable import files
from linetap.evidence import index, keylist
from linetap.recorder.vault import lifetime

LOOK_EVERY_NS = 3600 * NS_PER_S  # at the latest

log = logging.getLogger("linetap.recorder.vault")


class IndexEnd:
    """May raise OSError; the next tick goes on from there."""

    def __init__(self, vault: Path, zone: str) -> None:
        self._root, self._zone = vault / index.FOLDER, zone
        self._look_ns = 0  # retention time; nothing ends before

    def tick(self, now_ns: int | None) -> None:
        """Remove the folder of at most one epoch that is over."""
        if now_ns is None or now_ns < self._look_ns:
            return
        ends = sorted(
            (end_of(last_day, self._zone), name)
            for name in lifetime.names(self._root)
            if (found := index.parse_folder(name)) and (last_day := found[1])
        )
        failed = None
        for ends_ns, name in ends:
            if ends_ns > now_ns:
                break
            try:
                _remove(self._root / name)
                return
            except OSError as error:  # the others are over too
                failed = error
        later = [ends_ns for ends_ns, _ in ends if ends_ns > now_ns]
        self._look_ns = min([*later, now_ns + LOOK_EVERY_NS])
        if failed is not None:
            raise failed


def end_of(last_day: date, zone: str) -> int:
    """24:00 of that day, UTC ns."""
    return parse_rfc3339(keylist.end_of(last_day, zone).isoformat())


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
