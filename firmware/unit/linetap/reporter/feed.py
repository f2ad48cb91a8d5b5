# SPDX-License-Identifier: Apache-2.0
"""Outbox -> broker: exact bytes, in order, few in flight. The cursor moves when the broker has acknowledged.

A broker's acknowledgement may be lost, and then an event goes out again: the desk drops doubles by (unit, origin,
seq). Nothing is ever skipped. A PUBACK is no delivery either: what the desk misses goes out again (`again.py`) beside
what is new, and moves no cursor.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap.reporter.resend import Again
from linetap.reporter.source import Source
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.durable import broken, smallfile
from linetap_core.durable.smallfile import SmallFile
from linetap_core.vaultformat import vaultname

WINDOW = 16  # leaves room in MQTT's usual 20 for states and alerts
CURSOR_EVERY_S = 2  # what a power cut takes of it is sent again
REFUSED_PAUSE_S = 5
_CURSOR_BYTES = 512
_CONTENT_BYTES = 320  # with its envelope less than a sector

log = logging.getLogger("linetap.reporter.feed")


class _Place(msgspec.Struct):
    seq: int = 0
    sha256: str = ""


def _old_place(data: bytes) -> _Place:
    """Of version 0.1; an empty file was made by tmpfiles.d and not written yet."""
    return jsontext.decode(data, type=_Place) if data.strip() else _Place()


_FILE = SmallFile("cursor", _Place, _CURSOR_BYTES, _old_place, padded_to=_CONTENT_BYTES)


class Cursor:
    """The last event a broker has taken, in a file of the reporter's own.

    It is written over and not renamed: on a unit this file is all of the disk that the reporter may write, so that it
    cannot fill what the vault lies on. One sector. Where a power cut or the medium spoils it, everything is sent again;
    it cannot be moved aside, so the log has what was in it.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._saved = self.place = self._load()
        self._due_ns = 0
        self._failed = False

    def belongs_to(self, outbox: Source) -> bool:
        """Whether the event it names, where that is still there, is the one it saw: a vault can be exchanged."""
        seq = self.place.seq
        if seq > outbox.last_seq():
            return seq == 0
        found = outbox.from_seq(seq, 1) if seq else []
        return not found or found[0][0] != seq or hashlib.sha256(found[0][1]).hexdigest() == self.place.sha256

    def move(self, seq: int, sha256: str) -> None:
        self.place = _Place(seq, sha256)

    def save(self, at_once: bool = False) -> None:
        now_ns = self._clock.monotonic_ns()
        if self.place is self._saved or (now_ns < self._due_ns and not at_once):
            return
        self._due_ns = now_ns + CURSOR_EVERY_S * NS_PER_S
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._write(_FILE.encode(self.place))
        except OSError as error:
            if not self._failed:
                log.error("cursor_not_saved: %s: %s; events will be sent again after a restart", self._path, error)
            self._failed = True
        else:
            self._saved, self._failed = self.place, False

    def _write(self, data: bytes) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
        try:
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def _load(self) -> _Place:
        try:
            return _FILE.read(self._path)
        except FileNotFoundError:
            return _Place()
        except smallfile.Broken as error:
            broken.tell(self._path, f"{error}; everything in the outbox is sent again. It holds {self._damaged()!r}")
        except OSError as error:
            log.warning("cursor_lost: %s: %s; everything in the outbox is sent again", self._path, error)
        return _Place()

    def _damaged(self) -> bytes:
        with contextlib.suppress(OSError):
            return self._path.read_bytes()[:_CURSOR_BYTES].rstrip()
        return b""


@dataclass(slots=True)
class _InFlight:
    seq: int
    sha256: str
    again: bool = False
    acknowledged: bool = False


class Feed:
    def __init__(self, outbox: Source, cursor: Cursor, clock: Clock, again: Again) -> None:
        self._outbox, self._cursor, self._clock, self._again = outbox, cursor, clock, again
        self._flying: dict[int, _InFlight] = {}  # by MQTT message id, in order of seq
        self._paused_until_ns = 0
        self._judged = False
        self._next = cursor.place.seq + 1
        self.last_seq = 0  # of the newest event, as `send` or `look` saw it last

    @property
    def delivered_seq(self) -> int:
        """The number before the first of a vault, where nothing of it is delivered yet."""
        return max(self._cursor.place.seq, vaultname.range_of(self.last_seq))

    def look(self) -> None:
        """Once a turn: each look is two at the disk's folder."""
        self.last_seq = self._outbox.last_seq()

    def resume_at(self, seq: int) -> None:
        """The next to be sent is `seq`. What is in flight may be acknowledged or not, it no longer counts."""
        self._flying.clear()
        self._next = seq

    def lost_connection(self) -> None:
        self._again.lost_connection()
        self.resume_at(self._cursor.place.seq + 1)

    def send(self, publish: Callable[[bytes, str], int], window: int = WINDOW) -> int:
        """Fills the window. `publish`: payload, signature -> message id. How many were sent."""
        room = window - len(self._flying)
        self.look()
        if not self._judged or self.last_seq < self._cursor.place.seq:
            self._judge()
        if room <= 0 or not self._judged or self._clock.monotonic_ns() < self._paused_until_ns:
            return 0
        again = self._send_again(publish, room if self._next > self.last_seq else (room + 1) // 2)
        new = room > again and self._next <= self.last_seq
        entries = self._outbox.from_seq(self._next, room - again) if new else []
        for seq, payload, sig in entries:
            self._flying[publish(payload, sig)] = _InFlight(seq, hashlib.sha256(payload).hexdigest())
            self._next = seq + 1
        return again + len(entries)

    def _send_again(self, publish: Callable[[bytes, str], int], room: int) -> int:
        """Half of the room, while there is something new: what is asked for may be a month."""
        entries = self._again.entries(room)
        for seq, payload, sig in entries:
            self._flying[publish(payload, sig)] = _InFlight(seq, "", again=True)
        return len(entries)

    def _judge(self) -> None:
        """Once there is something in the outbox: an empty one may be a vault that is not mounted yet."""
        if not self.last_seq:
            return
        self._judged = True
        if not self._cursor.belongs_to(self._outbox):
            log.warning("outbox_exchanged: the outbox is not the one that was sent from; all of it is sent")
            self._cursor.move(0, "")
            self.lost_connection()

    def acknowledged(self, mid: int, refusal: str | None) -> None:
        """Of any message; others than ours are passed over."""
        if mid not in self._flying:
            return
        if refusal is not None:
            log.error("event_refused: the broker does not take event %d: %s", self._flying[mid].seq, refusal)
            self._paused_until_ns = self._clock.monotonic_ns() + REFUSED_PAUSE_S * NS_PER_S
            self.lost_connection()
            return
        self._flying[mid].acknowledged = True
        while self._flying and (first := next(iter(self._flying.items())))[1].acknowledged:
            del self._flying[first[0]]
            if not first[1].again:
                self._cursor.move(first[1].seq, first[1].sha256)
