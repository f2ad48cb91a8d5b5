# SPDX-License-Identifier: Apache-2.0
"""The log's length at the beginning of each outbox segment.

One thread writes event and leaf one after the other, so these numbers tell which leaves belong to events that are gone,
whatever the clock did meanwhile.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from linetap_core.durable.smallfile import SmallFile

PLACES_NAME = "places.json"  # in the outbox's folder
MOST = 2048  # beyond it every other entry of the older half is removed: a range gets longer, never shorter
SLACK = 64  # leaves: a repeated job finds its leaf already there, and its event follows later


class _Place(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    leaf: int


_FILE = SmallFile("places", list[_Place])


class Places:
    def __init__(self, folder: Path) -> None:
        self._path = folder / PLACES_NAME
        self._places = self._load()

    def note(self, seq: int, log_size: int) -> None:
        """Record that a segment begins with event `seq`. OSError: not recorded."""
        places = [*(place for place in self._places if place.seq < seq), _Place(seq, log_size)]
        if len(places) > MOST:
            places = places[: MOST // 2 : 2] + places[MOST // 2 :]
        _FILE.replace(self._path, places)
        self._places = places

    def forget(self) -> None:
        """OSError: nothing is forgotten."""
        self._path.unlink(missing_ok=True)
        self._places = []

    def leaves(self, first: int, last: int, log_size: int) -> tuple[int, int]:
        """Returns a range [from, to) that includes all leaves of events `first` to `last`, and possibly others."""
        begin = max((place.leaf for place in self._places if place.seq <= first), default=0)
        end = next((place.leaf for place in self._places if place.seq > last), log_size)
        return max(0, begin - SLACK), end

    def _load(self) -> list[_Place]:
        """If it is lost, a range begins with the log."""
        return _FILE.load(self._path) or []
