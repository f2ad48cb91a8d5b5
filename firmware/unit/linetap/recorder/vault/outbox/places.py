# SPDX-License-Identifier: Apache-2.0
"""How long the unit's log was when each segment of the outbox began.

Event and leaf are written one after the other by one thread, so these numbers say which leaves speak of events that are
no longer here, whatever the clock did meanwhile.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from linetap_core.durable.smallfile import SmallFile

PLACES_NAME = "places.json"  # in the outbox's folder
MOST = 2048  # beyond it the older half says only every other: a range gets longer, never shorter
SLACK = 64  # leaves: a job that a restart did again finds its leaf there already, and its event follows later


class _Place(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    leaf: int


_FILE = SmallFile("places", list[_Place])


class Places:
    def __init__(self, folder: Path) -> None:
        self._path = folder / PLACES_NAME
        self._places = self._load()

    def note(self, seq: int, log_size: int) -> None:
        """A segment begins with event `seq`. OSError: it is not noted."""
        places = [*(place for place in self._places if place.seq < seq), _Place(seq, log_size)]
        if len(places) > MOST:
            places = places[: MOST // 2 : 2] + places[MOST // 2 :]
        _FILE.replace(self._path, places)
        self._places = places

    def forget(self) -> None:
        """OSError: they are not forgotten."""
        self._path.unlink(missing_ok=True)
        self._places = []

    def leaves(self, first: int, last: int, log_size: int) -> tuple[int, int]:
        """The leaves [from, to) among which all are that events `first` to `last` came with; others may be too."""
        begin = max((place.leaf for place in self._places if place.seq <= first), default=0)
        end = next((place.leaf for place in self._places if place.seq > last), log_size)
        return max(0, begin - SLACK), end

    def _load(self) -> list[_Place]:
        """Lost, a range begins with the log."""
        return _FILE.load(self._path) or []
