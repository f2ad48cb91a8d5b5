# SPDX-License-Identifier: Apache-2.0
"""Access to the cards: the rings that the recorder follows, and the sockets of capture for its commands."""

from __future__ import annotations

import logging
import select
import threading

import msgspec

from linetap.config.schema import Config
from linetap.recorder.checkpoint import CardCursor
from linetap.ring import RATE_HZ, SLOT_FRAMES, SLOT_MS, Batch, RingReader, Stretch
from linetap.sockets import SocketClient
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import DeviceFault
from linetap_core.records import PlayNotice, Refused, ReleaseLine, StopNotice
from linetap_core.rundir import socket_path

BATCH_SLOTS = 25  # the most in one batch: a command for the next half second must not come late
WORK_SLOTS = 4  # fewer slots do not justify a wake-up of all detectors
DETECTOR_MEMORY_SLOTS = 10 * RATE_HZ // SLOT_FRAMES  # the longest memory of any detector
ATTACH_EVERY_NS = NS_PER_S

log = logging.getLogger("linetap.recorder")


class CardFollower:
    """Follows one card's ring, attached while it exists."""

    def __init__(self, config: Config, card: int, clock: Clock, remembered: CardCursor | None) -> None:
        self.card = card
        self._config = config
        self._clock = clock
        self._remembered = remembered
        self._line_numbers = [line.number for line in config.lines_of(card)]
        self._lock = threading.Lock()  # the disk thread reads stretches while the main thread follows
        self._attach_due_ns = 0
        self.reader: RingReader | None = None
        self.next_frame = 0
        self.replaced = False
        self.overtaken_ns: int | None = None  # monotonic: last loss of audio that was not read in time
        self._resumed: CardCursor | None = None  # of an earlier recorder: slots before only restore the detectors

    def attach(self) -> None:
        """Looks for the ring, once a second, while it is missing or may have been replaced."""
        now = self._clock.monotonic_ns()
        if now < self._attach_due_ns:
            return
        self._attach_due_ns = now + ATTACH_EVERY_NS
        if self.reader is not None and not self.reader.replaced():
            return
        try:
            fresh = RingReader(self._config.run_path, self.card, self._clock)
        except DeviceFault as fault:
            if self.reader is None:
                log.warning("%s: %s", fault.code, fault)
            return
        if fresh.line_numbers != self._line_numbers:
            lines = fresh.line_numbers
            log.error("ring_foreign: card %d: its lines are %s; restart capture@%d", self.card, lines, self.card)
            fresh.close()
            return
        with self._lock:
            self.replaced |= self.reader is not None or self._is_new(fresh)  # new since the last look
            if self.reader is not None:
                self.reader.close()
            self.reader = fresh

    def _is_new(self, fresh: RingReader) -> bool:
        """Whether `fresh` is another ring than the remembered one; else continues at the remembered cursor."""
        remembered, self._remembered = self._remembered, None
        if remembered is None:
            return False
        if remembered.ring_id != fresh.ring_id:
            return True
        fresh.seek(remembered.cursor, remembered.next_frame)
        self.next_frame = remembered.next_frame
        fresh.rewind(DETECTOR_MEMORY_SLOTS)
        self._resumed = remembered
        return False

    def ready(self) -> bool:
        """Whether enough slots wait to be read."""
        return self.reader is not None and self.reader.lag() >= WORK_SLOTS

    def read(self) -> tuple[Batch, bool] | None:
        """The next batch, and whether an earlier recorder has followed it already."""
        assert self.reader is not None
        before = self._resumed.cursor - self.reader.cursor if self._resumed is not None else 0
        try:
            batch = self.reader.read(min(BATCH_SLOTS, before) if before > 0 else BATCH_SLOTS)
        except DeviceFault as fault:
            self._abandon_ring(fault)
            return None
        if batch is None:
            return None
        if batch.gap == "ring_overtaken":
            self.overtaken_ns = self._clock.monotonic_ns()
            lost_ms = batch.frames * 1000 // RATE_HZ
            log.error("ring_overtaken: card %d: %d ms were overwritten before they were read", self.card, lost_ms)
        if before > 0 and self.reader.cursor <= batch.seq + before:
            return batch, True
        self._resumed = None
        self.next_frame = batch.frame + batch.frames
        return batch, False

    def _abandon_ring(self, fault: DeviceFault) -> None:
        """Ends the calls of a ring with impossible content, which is then followed as a new ring."""
        log.error("%s: %s", fault.code, fault)
        with self._lock:
            if self.reader is not None:
                self.reader.close()
            self.reader, self._resumed, self.replaced = None, None, True

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        """The past audio of one line. OSError without a ring."""
        with self._lock:
            if self.reader is None:
                raise OSError(f"card {self.card} has no ring")
            found = self.reader.stretch(self._line_numbers.index(line), first, end)
        if any(cause == "ring_overtaken" for _, _, cause in found.gaps):
            self.overtaken_ns = self._clock.monotonic_ns()
        return found

    def newest(self) -> tuple[int, int] | None:
        """The first frame of the ring's newest slot, and its monotonic time."""
        with self._lock:
            return self.reader.newest() if self.reader is not None else None

    def cursor(self) -> CardCursor | None:
        """The cursor for the checkpoint."""
        if self.reader is None:
            return self._remembered
        if self._resumed is not None:
            return self._resumed
        return CardCursor(self.reader.ring_id, self.reader.cursor, self.next_frame)

    def frame_now(self) -> int:
        """The frame after the last that capture has written."""
        return self.next_frame + (self.reader.lag() * SLOT_FRAMES if self.reader else 0)

    def lag_ms(self) -> float:
        """Milliseconds of audio in the ring that are not followed yet."""
        return self.reader.lag() * SLOT_MS if self.reader else 0.0


class Cards:
    """All cards: an audio source, a capture port, and a doorbell to wait for."""

    def __init__(self, config: Config, clock: Clock, remembered: dict[int, CardCursor]) -> None:
        self.followers = {
            card.number: CardFollower(config, card.number, clock, remembered.get(card.number)) for card in config.card
        }
        self._card_of = {line.number: line.card for line in config.line}
        self._callers = {n: SocketClient(socket_path(config.run_path, n)) for n in self.followers}
        # Edge-triggered: the hang-up of a capture that has ended wakes the recorder once only.
        self._bells = select.epoll()
        self._registered: dict[int, RingReader] = {}

    def wait(self, timeout_ms: int) -> None:
        """Waits for a doorbell; without a ring, waits for the whole time-out."""
        for number, follower in self.followers.items():
            follower.attach()
            if follower.reader is not None and self._registered.get(number) is not follower.reader:
                self._registered[number] = follower.reader
                self._bells.register(follower.reader.fileno(), select.EPOLLIN | select.EPOLLET)
        if self._bells.poll(timeout_ms / 1000):
            for follower in self.followers.values():
                if follower.reader is not None:
                    follower.reader.silence_bell()

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        return self.followers[self._card_of[line]].stretch(line, first, end)

    def newest(self, line: int) -> tuple[int, int] | None:
        """The line's newest frame in the ring, read or not, and its monotonic time."""
        return self.followers[self._card_of[line]].newest()

    def play(self, line: int, notice: str, at_frame: int) -> None:
        self._callers[self._card_of[line]].send(msgspec.json.encode(PlayNotice(line, notice, at_frame)))

    def stop(self, line: int) -> None:
        self._callers[self._card_of[line]].send(msgspec.json.encode(StopNotice(line)))

    def release(self, line: int, ms: int) -> None:
        self._callers[self._card_of[line]].send(msgspec.json.encode(ReleaseLine(line, ms)))

    def frame_now(self, line: int) -> int:
        return self.followers[self._card_of[line]].frame_now()

    @property
    def overtaken_ns(self) -> int | None:
        """The monotonic time at which unread audio of any card was last overwritten; None: never."""
        return max((n for f in self.followers.values() if (n := f.overtaken_ns) is not None), default=None)

    def log_refusals(self) -> None:
        """Logs why capture refused notices. The calls themselves notice a refusal by a notice that does not begin."""
        for number, caller in self._callers.items():
            for answer in caller.answers():
                try:
                    refused = jsontext.decode(answer, Refused)
                except msgspec.DecodeError:
                    log.error("capture@%d sent an unreadable answer", number)
                else:
                    log.error("notice_refused: line %d: %s", refused.line, refused.why)
