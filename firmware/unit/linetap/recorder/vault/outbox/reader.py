# SPDX-License-Identifier: Apache-2.0
"""The outbox's reading side, for the reporter and for rebuilding events."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from linetap_core.durable.smallfile import SmallFile
from linetap_core.vaultformat import outboxfiles
from linetap_core.vaultformat.outboxfiles import Frame


class OutboxReader:
    """The reader. It writes nothing, never waits, and returns only events that survive a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = (0, 0, 0)  # end of the last reading: (first seq of the segment, offset, next seq)
        self._last = (0, 0, 0)  # (first seq of a segment, offset, last seq before it)

    def from_seq(self, seq: int, most: int) -> list[tuple[int, bytes, str]]:
        """Returns (seq, payload, armored SSHSIG) of at most `most` events from `seq` on, in order.

        If `seq` is gone, the result starts at the oldest event. Damaged events are left out, which leaves a hole.
        """
        found: list[tuple[int, bytes, str]] = []
        first, offset, wanted = self._next
        if wanted == seq and self._is_all(first, offset, seq):
            return found
        firsts = outboxfiles.first_seqs(self._folder)
        begin = max((i for i, first in enumerate(firsts) if first <= seq), default=0)
        for first in firsts[begin:]:
            for frame in self._committed(first, self._offset(first, seq), first == firsts[-1]):
                if frame.entry.seq >= seq:
                    found.append((frame.entry.seq, frame.entry.payload.encode(), frame.entry.sig))
                    seq = frame.entry.seq + 1
                self._next = (first, frame.end, seq)
                if len(found) == most:
                    return found
        return found

    def last_seq(self) -> int:
        """Returns the newest event's number; 0: there was no event."""
        newest, offset, last = self._last
        if self._is_all(newest, offset, last + 1):
            return last
        firsts = outboxfiles.first_seqs(self._folder)
        if not firsts:
            return 0
        newest = firsts[-1]
        known, offset, last = self._last
        if known != newest or self._size(newest) < offset:
            offset, last = 0, newest - 1
        for frame in self._committed(newest, offset, True):
            offset, last = frame.end, frame.entry.seq
        self._last = (newest, offset, last)
        return last

    def size_bytes(self) -> int:
        return sum(self._size(first) for first in outboxfiles.first_seqs(self._folder))

    def _is_all(self, first: int, offset: int, following: int) -> bool:
        """Whether a segment still ends at `offset` and none begins with event `following`.

        Called ten times a second and nearly always true: costs two file accesses instead of reading the folder.
        """
        return bool(offset) and self._size(first) == offset and not self._size(following)

    def _offset(self, first: int, seq: int) -> int:
        known, offset, wanted = self._next
        return offset if (known, wanted) == (first, seq) and self._size(first) >= offset else 0

    def _size(self, first: int) -> int:
        try:
            return os.lstat(f"{self._folder}/{outboxfiles.name_of(first)}").st_size
        except OSError:
            return 0

    def _committed(self, first: int, offset: int, newest: bool) -> Iterator[Frame]:
        """Yields frames that are committed, or followed by others. Ends early if the segment was just dropped or
        cannot be read.
        """
        waiting: Frame | None = None
        try:
            for frame in outboxfiles.read(outboxfiles.path_of(self._folder, first), offset):
                if waiting:
                    yield waiting
                    waiting = None
                if frame.committed:
                    yield frame
                else:
                    waiting = frame
        except OSError:
            return
        if waiting and not newest:
            yield waiting


# --- The log's length at the beginning of each outbox segment ---------------------------------------------------------
# One thread writes event and leaf in turn, so these numbers give the leaves of lost events, even if the clock was set
# meanwhile.


PLACES_NAME = "places.json"  # in the outbox's folder
MOST = 2048  # beyond this number every other entry of the older half is removed: ranges become longer, never shorter
SLACK = 64  # leaves: the leaf of a repeated job may exist already, and its event follows later


class _Place(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    leaf: int


_FILE = SmallFile("places", list[_Place])


class Places:
    def __init__(self, folder: Path) -> None:
        self._path = folder / PLACES_NAME
        self._places = self._load()

    def store_length(self, seq: int, log_size: int) -> None:
        """Records that a segment begins with event `seq`. OSError: not recorded."""
        places = [*(place for place in self._places if place.seq < seq), _Place(seq, log_size)]
        if len(places) > MOST:
            places = places[: MOST // 2 : 2] + places[MOST // 2 :]
        _FILE.replace(self._path, places)
        self._places = places

    def forget(self) -> None:
        """Discards all places. OSError: nothing is discarded."""
        self._path.unlink(missing_ok=True)
        self._places = []

    def leaves(self, first: int, last: int, log_size: int) -> tuple[int, int]:
        """Returns a range [from, to) that includes all leaves of events `first` to `last`, and possibly others."""
        begin = max((place.leaf for place in self._places if place.seq <= first), default=0)
        end = next((place.leaf for place in self._places if place.seq > last), log_size)
        return max(0, begin - SLACK), end

    def _load(self) -> list[_Place]:
        """Loads the places; if they are lost, a range begins with the log."""
        return _FILE.load(self._path) or []
