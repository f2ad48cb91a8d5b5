# SPDX-License-Identifier: Apache-2.0
"""The outbox's writing side: every event of the unit is numbered, chained, signed and on disk before further work.

The vault's thread appends and trims; the reporter reads, and keeps its cursor elsewhere. A broker's acknowledgement
removes nothing: events are removed once the desk itself has confirmed them. Without a desk only the size bound removes
events, and an event (`dropped`) reports the removal. One file, since append, trim and recovery share one state.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from linetap.recorder.vault.log.recentlywritten import RecentlyWritten
from linetap.recorder.vault.outbox.reader import OutboxReader, Places
from linetap_core import jsontext
from linetap_core.durable import broken, files, folders
from linetap_core.records import CallEvent
from linetap_core.system import is_damage
from linetap_core.vaultformat import outboxfiles, vaultname
from linetap_core.vaultformat.outboxfiles import (
    CONFIRMED,
    CONFIRMED_FILE,
    GENESIS,
    SEGMENT_BYTES,
    Confirmed,
    Entry,
    Frame,
    Lost,
)

REMEMBERED = 4096  # newest events recognised by (call_id, event, at): a restarted recorder appends them again
_SEGMENTS = 16  # share of the bound that is dropped at once when it is reached
DAMAGED = "damaged"  # reason of `dropped` events that were not dropped for lack of space
_MOST_READ_BYTES = 16 << 20  # larger than any segment
_LEAST_EVENT_BYTES = 256  # hash, fingerprint and signature make each event more than twice as long
_HEADROOM_BYTES = 4096  # an event has about 1 kB, and the `dropped` event another

Identity = tuple[str | None, str, str]

log = logging.getLogger("linetap.recorder.vault")


class Outbox:
    """The writing side; only one may exist at a time. After an OSError the outbox is unchanged, and the append can be
    repeated.
    """

    _fd = -1  # the newest segment

    def __init__(
        self,
        folder: Path,
        unit: str,
        sign: Callable[[bytes], str],
        origin: str,
        max_bytes: int,
        log_size: Callable[[], int] = lambda: 0,
        vault: str = "",
        used: int = 0,
    ) -> None:
        """`sign`: bytes -> armored SSHSIG of namespace linetap-event. `origin`: fingerprint of the unit's key.
        `log_size`: the present number of leaves. `vault`: its name; `used`: the newest event that the log names.
        """
        self._folder, self._unit, self._sign, self.origin, self.vault = folder, unit, sign, origin, vault
        self._log_size = log_size
        self.first_seq = vaultname.first_seq(vault)  # number of the vault's first event, which may be gone already
        self._max_bytes = max_bytes
        least, most = SEGMENT_BYTES
        self._segment_bytes = min(max(max_bytes // _SEGMENTS, least), most)
        self._sizes: dict[int, int] = {}  # of the segments, by first seq, in order
        self._known = RecentlyWritten(REMEMBERED)
        self._unsynced = False  # the newest segment's name is not synced yet
        self._torn = False  # there may be bytes behind the last committed event
        self._prev = GENESIS
        self._dropped_to = 0
        self._given_up = 0  # the same without lost events: all events before it may be removed
        self._gone: tuple[int, int] | None = None  # numbers in use with an unreported loss
        self._begin_anew = False  # the newest segment has a damaged end, and is not changed
        self.last_seq = self.first_seq - 1
        self.confirmed = self.first_seq - 1  # the desk has all events up to this number
        self.lost: Lost | None = None  # lost events not rebuilt yet
        folder.parent.mkdir(parents=True, exist_ok=True)
        folders.make(folder.parent, folder)
        self._places = Places(folder)
        files.sync_directory(folder.parent)
        self._load(used)

    def has(self, event: CallEvent) -> bool:
        """Whether the event is among the newest events."""
        return self._known.has(*_identity(event))

    def newest(self) -> Iterator[CallEvent]:
        """Yields the newest events, the oldest first."""
        reader = OutboxReader(self._folder)
        for _, payload, _ in reader.from_seq(max(1, self.last_seq - REMEMBERED + 1), REMEMBERED):
            with contextlib.suppress(ValueError):
                yield jsontext.decode(payload, type=CallEvent)

    def append(self, event: CallEvent) -> int:
        """Appends an event; returns its number once it is on disk. `seq`, `unit`, `origin` and `prev` are filled
        in here.
        """
        while sum(self._sizes.values()) + _HEADROOM_BYTES > self._max_bytes and len(self._sizes) > 1:
            self._drop_oldest(event.at)
        self._report_lost(event.at)
        return self._write(event)

    def confirm(self, through: int) -> None:
        """Records that the desk has all events up to `through`; a lower number than before is ignored."""
        if through > self.confirmed:
            self._keep(Confirmed(through, self.lost))
        self._trim()

    def has_used(self, through: int) -> bool:
        """Whether number `through` may be in use. If the desk has events that are lost here, their numbers are
        skipped.

        False for a number that this vault cannot have, or after which it would have no numbers.
        """
        if not vaultname.is_of(self.vault, through):
            return False
        if through > self.last_seq:
            if not vaultname.may_be_skipped(self.vault, through):
                return False
            log.error("outbox_lost: events %d to %d are at the desk and not here", self.last_seq + 1, through)
            self._skip_to(through)
        return True

    @property
    def dropped_to(self) -> int:
        """The newest event that a recent `dropped` event covers; 0: none."""
        return self._dropped_to

    @property
    def is_half_full(self) -> bool:
        """Whether unconfirmed events fill half of the bound. Confirmed events can be removed at any time."""
        behind = [*list(self._sizes)[1:], self.last_seq + 1]
        waiting = sum(
            size
            for size, following in zip(self._sizes.values(), behind, strict=False)
            if following - 1 > self.confirmed
        )
        return 2 * waiting >= self._max_bytes

    def forget_lost(self, reported: Lost) -> None:
        """Clears `lost`: its events are being rebuilt."""
        if self.lost == reported:
            self._keep(Confirmed(self.confirmed, None))

    def forget_places(self) -> None:
        """Discards the places of events in the log, which began anew. OSError: the old places still exist."""
        self._places.forget()

    def leaves_of(self, first: int, last: int, log_size: int) -> tuple[int, int]:
        """Returns a range [from, to) of the unit's log with all leaves of events `first` to `last`."""
        return self._places.leaves(first, last, log_size)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    __del__ = close

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self, event: CallEvent) -> int:
        seq = self.last_seq + 1
        event = msgspec.structs.replace(
            event, seq=seq, unit=self._unit, origin=self.origin, vault=self.vault, prev=self._prev
        )
        payload = msgspec.json.encode(event)
        line = outboxfiles.encode(Entry(seq, payload.decode(), self._sign(payload)))
        try:
            self._put(seq, line)
        except OSError:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self.last_seq = seq
        self._index_event(payload)
        return seq

    def _put(self, seq: int, line: bytes) -> None:
        if self._torn:
            self._cut()
        if self._fd < 0 or self._begin_anew or (self._size and self._size + len(line) > self._segment_bytes):
            self._begin(seq)
        self._torn = True
        at = self._size
        end = at + len(line)
        while at < end:
            at += os.pwrite(self._fd, line[at - end :], at)
        os.fdatasync(self._fd)
        if self._unsynced:
            files.sync_directory(self._folder)
            self._unsynced = False
        os.pwrite(self._fd, outboxfiles.COMMITTED, end - 1)
        self._sizes[self._newest] = end
        self._torn = False

    def _begin(self, seq: int) -> None:
        self._places.store_length(seq, self._log_size())
        fd = files.create(outboxfiles.path_of(self._folder, seq))
        self.close()
        self._fd, self._unsynced, self._begin_anew = fd, True, False
        self._sizes[seq] = 0

    def _cut(self) -> None:
        """Removes the rest of a failed write."""
        if self._fd >= 0:
            os.ftruncate(self._fd, self._size)
        self._torn = False

    def _drop_oldest(self, at: str) -> None:
        """Drops the oldest segment. The dropped range is recorded and reported before the removal: after a power cut
        the next start completes it.
        """
        first, following = list(self._sizes)[:2]
        last = following - 1
        if last > max(self._dropped_to, self.confirmed):
            # Dated by the event that needed the space, so that a replay gives the same result at any time of day. The
            # range covers all that the desk has not confirmed, since an earlier `dropped` may be removed now.
            from_seq = self.confirmed + 1
            self._keep(Confirmed(self.confirmed, Lost(from_seq, last, self.last_seq + 1)))
            self._write(CallEvent(seq=0, event="dropped", at=at, unit="", from_seq=from_seq, to_seq=last))
            log.warning(
                "outbox_full: events %d to %d were dropped; the bound is %d bytes", first, last, self._max_bytes
            )
        self._remove(first)

    def _skip_to(self, seq: int) -> None:
        """Sets the next event's number to `seq` + 1. The hash of the event before is lost."""
        first = self._gone[0] if self._gone else self.last_seq + 1
        self._gone, self.last_seq, self._prev, self._begin_anew = (first, seq), seq, GENESIS, True

    def _report_lost(self, at: str) -> None:
        """Reports lost numbers by the first event after them, with which `prev` starts again."""
        if self._gone is not None:
            first, last = self._gone
            before = first if self.lost is None else min(first, self.lost.first)
            self._keep(Confirmed(self.confirmed, Lost(before, last, self.last_seq + 1)))
            self._write(CallEvent(seq=0, event="dropped", at=at, unit="", from_seq=first, to_seq=last, why=DAMAGED))
            self._gone = None

    def _keep(self, confirmed: Confirmed) -> None:
        CONFIRMED_FILE.replace(self._folder / CONFIRMED, confirmed)
        self.confirmed, self.lost = confirmed.through, confirmed.lost

    def _trim(self) -> None:
        """Removes whole segments of confirmed events. The newest events stay, since a restarted recorder appends them
        again.
        """
        through = min(self.confirmed, self.last_seq - REMEMBERED)
        while len(self._sizes) > 1 and (following := list(self._sizes)[1]) - 1 <= through:
            first = next(iter(self._sizes))
            self._remove(first)
            log.info("outbox_trimmed: events %d to %d are confirmed", first, following - 1)

    def _index_event(self, payload: bytes) -> None:
        self._prev = hashlib.sha256(payload).hexdigest()
        try:
            event = jsontext.decode(payload, type=_Known)
        except ValueError:
            log.error("outbox_damaged: %s: an event cannot be read; it is sent as it is", self._folder)
            return
        self._known.add(self.last_seq, *_identity(event))
        self._dropped_to = max(self._dropped_to, event.to or 0)
        if event.why != DAMAGED:
            self._given_up = max(self._given_up, event.to or 0)

    # --- Loading---------------------------------------------------------------------------

    def _load(self, used: int) -> None:
        damaged_to = self._load_events()
        known = self._load_confirmed()
        proved = [seq for seq in (used, known.through, damaged_to) if vaultname.is_of(self.vault, seq)]
        if (floor := max(proved, default=0)) > self.last_seq:
            log.error("outbox_lost: events %d to %d existed, and are lost", self.last_seq + 1, floor)
            self._skip_to(floor)
        self.confirmed, self.lost = max(self.first_seq - 1, min(known.through, self.last_seq)), known.lost
        self._trim()

    def _load_confirmed(self) -> Confirmed:
        """Loads the confirmed number; if it is lost, the desk confirms everything again."""
        return CONFIRMED_FILE.load(self._folder / CONFIRMED) or Confirmed(0)

    def _load_events(self) -> int:
        """Returns the highest number that may have been in a damaged end of the newest segment; 0: no damage."""
        firsts, damaged = outboxfiles.first_seqs(self._folder), 0
        if not firsts:
            return 0
        newest: list[Frame] = []
        for first in reversed(firsts):
            frames, is_whole = _readable_frames(outboxfiles.path_of(self._folder, first))
            newest = frames + newest
            if first == firsts[-1]:
                damaged = self._open_newest(first, frames) if is_whole else self._leave_newest(first, frames)
            if len(newest) >= REMEMBERED:
                break
        for frame in newest:
            self._index_event(frame.entry.payload.encode())
        self.last_seq = max([firsts[-1] - 1, *(frame.entry.seq for frame in newest)])
        for first in firsts[:-1]:
            self._sizes[first] = _size_of(outboxfiles.path_of(self._folder, first)) or 0
        self._sizes = dict(sorted(self._sizes.items()))
        while len(self._sizes) > 1 and list(self._sizes)[1] - 1 <= self._given_up:
            self._drop_oldest("")
        return self.last_seq + damaged if damaged else 0

    def _open_newest(self, first: int, frames: list[Frame]) -> int:
        """Truncates a half-written event of a crash, and commits a last event that only lacks its newline.

        Returns the largest number of committed events in an unreadable end, which is not changed.
        """
        path = outboxfiles.path_of(self._folder, first)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        end = frames[-1].end if frames else 0
        size = os.fstat(self._fd).st_size
        if lost := _events_in(self._fd, end, size):
            log.error("outbox_damaged: %s: %d bytes at its end cannot be read; they stay there", path, size - end)
            self._sizes[first], self._begin_anew = size, True
            return lost
        if size > end:
            log.warning("outbox_torn: %s: %d bytes of an unfinished event cut off", path, size - end)
            os.ftruncate(self._fd, end)
        if frames and not frames[-1].committed:
            os.fdatasync(self._fd)
            os.pwrite(self._fd, outboxfiles.COMMITTED, end - 1)
        os.fdatasync(self._fd)
        self._unsynced = True
        self._sizes[first] = end
        return 0

    def _leave_newest(self, first: int, frames: list[Frame]) -> int:
        """Leaves an unreadable newest segment as it is. Returns how many events may be in the rest of it."""
        size = _size_of(outboxfiles.path_of(self._folder, first))
        self._sizes[first], self._begin_anew = size or 0, True
        end = frames[-1].end if frames else 0
        return max(0, (SEGMENT_BYTES[1] if size is None else size) - end) // _LEAST_EVENT_BYTES + 1

    def _remove(self, first: int) -> None:
        path = outboxfiles.path_of(self._folder, first)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if not is_damage(error):
                raise
            broken.report(path, f"{error.strerror}; its events are not needed any more, and it stays")
        del self._sizes[first]

    @property
    def _newest(self) -> int:
        return next(reversed(self._sizes))

    @property
    def _size(self) -> int:
        return self._sizes[self._newest]


class _Known(msgspec.Struct):
    """The fields that identify an event, also an event of a later version."""

    event: str
    at: str
    call_id: str | None = None
    to: int | None = None
    why: str | None = None


def _readable_frames(path: Path) -> tuple[list[Frame], bool]:
    """Returns the frames before the first block that cannot be read, and whether that is the whole file."""
    frames = list[Frame]()
    try:
        for frame in outboxfiles.read(path):
            frames.append(frame)
    except OSError as error:
        if not is_damage(error):
            raise
        broken.report(path, f"{error.strerror}; its other events count as lost, and it stays as it is")
        return frames, False
    return frames, True


def _size_of(path: Path) -> int | None:
    """Returns None if the medium has lost the file."""
    try:
        return path.stat().st_size
    except OSError as error:
        if not is_damage(error):
            raise
        return None


def _events_in(fd: int, first: int, end: int) -> int:
    """Returns the most events that an unreadable piece can contain; 0 for an unfinished event, which was never sent.

    An event ends with a newline that is written once all bytes before it are on disk.
    """
    data = os.pread(fd, min(end - first, _MOST_READ_BYTES), first)
    has_event = any(len(line) >= _LEAST_EVENT_BYTES for line in data.split(outboxfiles.COMMITTED)[:-1])
    return (end - first) // _LEAST_EVENT_BYTES + 1 if has_event else 0


def _identity(event: CallEvent | _Known) -> Identity:
    return event.call_id, event.event, event.at
