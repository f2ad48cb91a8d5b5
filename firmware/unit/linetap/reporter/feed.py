# SPDX-License-Identifier: Apache-2.0
"""Sends the outbox to the broker: exact bytes, in order, few in flight. The broker's acknowledgement moves the cursor.

If the broker's acknowledgement is lost, an event is sent again: the desk drops duplicates by (unit, origin, seq). No
event is skipped. A PUBACK is no proof of delivery: the broker may lose an event, and the desk may have been offline or
moved to another broker. If the unit's roles name a desk, only its confirmation completes an event. Events that the desk
lacks are sent again (`Resending`) beside new ones, without moving the cursor.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from linetap_core import jsontext, plainfile
from linetap_core.clock import NS_PER_S, Clock, ns_of
from linetap_core.durable import broken, smallfile
from linetap_core.durable.smallfile import SmallFile
from linetap_core.records import DeliveryState
from linetap_core.vaultformat import vaultname

WINDOW = 16  # of MQTT's usual 20; the rest is for states and alerts
CURSOR_EVERY_S = 2  # events since the last write are sent again after a power cut
REFUSED_PAUSE_S = 5
_CURSOR_BYTES = 512
_CONTENT_BYTES = 320  # with the envelope less than a sector

log = logging.getLogger("linetap.reporter.feed")


class _Place(msgspec.Struct):
    seq: int = 0
    sha256: str = ""


def _old_place(data: bytes) -> _Place:
    """Reads the format of version 0.1; the file may be empty, as created by tmpfiles.d."""
    return jsontext.decode(data, type=_Place) if data.strip() else _Place()


_FILE = SmallFile("cursor", _Place, _CURSOR_BYTES, _old_place, padded_to=_CONTENT_BYTES)


class Cursor:
    """The last event that a broker has acknowledged, in a file of the reporter's own.

    The file is overwritten, not renamed: on a unit it is the only file on the disk that the reporter may write, so the
    reporter cannot fill the vault's disk. The file fits into one sector. If a power cut or the medium damages it, all
    events are sent again, and the damaged content is logged, since the file cannot be renamed.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._saved = self.place = self._load()
        self._due_ns = 0
        self._failed = False

    def belongs_to(self, outbox: Source) -> bool:
        """Whether the cursor's event is the same in this outbox, or no longer there: a vault can be exchanged."""
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
            broken.report(self._path, f"{error}; everything in the outbox is sent again. It holds {self._damaged()!r}")
        except OSError as error:
            log.warning("cursor_lost: %s: %s; everything in the outbox is sent again", self._path, error)
        return _Place()

    def _damaged(self) -> bytes:
        with contextlib.suppress(OSError), plainfile.opened(self._path) as file:
            return file.read(_CURSOR_BYTES).rstrip()
        return b""


@dataclass(slots=True)
class _InFlight:
    seq: int
    sha256: str
    again: bool = False
    acknowledged: bool = False


class Feed:
    def __init__(self, outbox: Source, cursor: Cursor, clock: Clock, resending: Resending) -> None:
        self._outbox, self._cursor, self._clock, self._resending = outbox, cursor, clock, resending
        self._in_flight: dict[int, _InFlight] = {}  # by MQTT message id, in order of seq
        self._paused_until_ns = 0
        self._cursor_checked = False
        self._next = cursor.place.seq + 1
        self.last_seq = 0  # number of the newest event at the last `refresh`

    @property
    def delivered_seq(self) -> int:
        """The last delivered number; if no event of the vault is delivered, the number before its first event."""
        return max(self._cursor.place.seq, vaultname.range_of(self.last_seq))

    def refresh(self) -> None:
        """Reads the newest number, once a turn: each call costs two accesses to the folder."""
        self.last_seq = self._outbox.last_seq()

    def resume_at(self, seq: int) -> None:
        """Continues to send from `seq` on. Acknowledgements of messages in flight no longer count."""
        self._in_flight.clear()
        self._next = seq

    def lost_connection(self) -> None:
        self._resending.lost_connection()
        self.resume_at(self._cursor.place.seq + 1)

    def send(self, publish: Callable[[bytes, str], int], window: int = WINDOW) -> int:
        """Fills the window. `publish`: payload, signature -> message id. Returns the number of sent events."""
        room = window - len(self._in_flight)
        self.refresh()
        if not self._cursor_checked or self.last_seq < self._cursor.place.seq:
            self._check_cursor()
        if room <= 0 or not self._cursor_checked or self._clock.monotonic_ns() < self._paused_until_ns:
            return 0
        again = self._send_again(publish, room if self._next > self.last_seq else (room + 1) // 2)
        new = room > again and self._next <= self.last_seq
        entries = self._outbox.from_seq(self._next, room - again) if new else []
        for seq, payload, sig in entries:
            self._in_flight[publish(payload, sig)] = _InFlight(seq, hashlib.sha256(payload).hexdigest())
            self._next = seq + 1
        return again + len(entries)

    def _send_again(self, publish: Callable[[bytes, str], int], room: int) -> int:
        """Sends requested events again, in half of the room while there are new events: a range may cover a month."""
        entries = self._resending.entries(room)
        for seq, payload, sig in entries:
            self._in_flight[publish(payload, sig)] = _InFlight(seq, "", again=True)
        return len(entries)

    def _check_cursor(self) -> None:
        """Checks the cursor once there is an event: an empty outbox may be a vault that is not mounted yet."""
        if not self.last_seq:
            return
        self._cursor_checked = True
        if not self._cursor.belongs_to(self._outbox):
            log.warning("outbox_exchanged: this is another outbox than before; all of it is sent")
            self._cursor.move(0, "")
            self.lost_connection()

    def acknowledged(self, mid: int, refusal: str | None) -> None:
        """Handles an acknowledgement of any message; unknown ids are ignored."""
        if mid not in self._in_flight:
            return
        if refusal is not None:
            log.error("event_refused: the broker refuses event %d: %s", self._in_flight[mid].seq, refusal)
            self._paused_until_ns = self._clock.monotonic_ns() + REFUSED_PAUSE_S * NS_PER_S
            self.lost_connection()
            return
        self._in_flight[mid].acknowledged = True
        while self._in_flight and (first := next(iter(self._in_flight.items())))[1].acknowledged:
            del self._in_flight[first[0]]
            if not first[1].again:
                self._cursor.move(first[1].seq, first[1].sha256)


# --- Sending again ----------------------------------------------------------------------------------------------------


PATIENCE_S = 60  # until events that a broker has acknowledged are sent again; doubled while unconfirmed
LONGEST_S = 900
DEAF = "repeated messages are not confirmed either: the broker may have lost the subscription"
PROBE = 100  # events sent after a renewal: a working desk requests the rest, and other desks are not flooded


class Resending:
    """Selects events to send again: those that the desk requests, and the first that were unconfirmed for long."""

    def __init__(self, outbox: Source, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        """`outbox`: a reader for this object alone, since reading moves its position."""
        self._outbox, self._clock = outbox, clock
        self._first_ns = self._wait_ns = ns_of(patience_s)
        self._moved_ns = clock.monotonic_ns()
        self._resend = 0
        self._next = self._last = 0
        self._renewal: Literal["none", "asked", "done"] = "none"  # of the connection; then the first are sent again
        self.confirmed: int | None = None  # None: the roles name no desk

    def follow(self, delivery: DeliveryState, taken: int) -> bool:
        """Applies the recorder's delivery state, often. `taken`: the newest event that a broker has acknowledged.

        Returns whether the connection must be renewed: the broker accepts events, but events sent again are not
        confirmed either. A partitioned cluster may no longer deliver to a subscription (docs/scale.md).
        """
        if not delivery.desk:
            self.confirmed = None
            return False
        now_ns = self._clock.monotonic_ns()
        if delivery.confirmed != self.confirmed or taken <= delivery.confirmed:
            self.confirmed, self._moved_ns, self._wait_ns = delivery.confirmed, now_ns, self._first_ns
        if delivery.resend != self._resend:
            self._resend = delivery.resend
            self._begin(delivery.resend_from, min(delivery.resend_to, taken), now_ns)
        elif self._renewal != "asked" and not self._under_way and now_ns - self._moved_ns >= self._wait_ns:
            if self._wait_ns > self._first_ns and self._renewal == "none":
                self._renewal = "asked"
                return True
            self._renewal = "none"
            self._wait_ns = min(2 * self._wait_ns, LONGEST_S * NS_PER_S)
            self._begin(delivery.confirmed + 1, min(delivery.confirmed + PROBE, taken), now_ns)
        return False

    def entries(self, most: int) -> list[Entry]:
        """Returns the next events, at most `most`, each once."""
        if not self._under_way:
            return []
        found = [entry for entry in self._outbox.from_seq(self._next, most) if entry[0] <= self._last]
        self._next = found[-1][0] + 1 if found else self._last + 1  # skips events that are gone
        return found

    def lost_connection(self) -> None:
        """Ends the present range: events in flight may be lost; the desk requests them again, or they time out."""
        self._next = self._last = 0
        if self._renewal == "asked":
            self._renewal = "done"
        else:
            self._moved_ns = self._clock.monotonic_ns()

    @property
    def _under_way(self) -> bool:
        return 0 < self._next <= self._last

    def _begin(self, first: int, last: int, now_ns: int) -> None:
        self._next, self._last, self._moved_ns = first, last, now_ns


# --- The outbox's reading side ----------------------------------------------------------------------------------------


Entry = tuple[int, bytes, str]  # seq, payload, armored SSHSIG


class Source(Protocol):
    """Implemented by `recorder/vault/outbox/reader.py`."""

    def from_seq(self, seq: int, most: int) -> list[Entry]: ...
    def last_seq(self) -> int: ...
