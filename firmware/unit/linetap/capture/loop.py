# SPDX-License-Identifier: Apache-2.0
"""Capture's loop: codec -> ring, notices -> codec. One call of `turn` a period, which waits at most POLL_MS.

After every start of the stream the first SETTLE_PERIODS are held until the timeline has enough observations to date
them; then the gap before them is written, and the held periods follow. A jump in the clock of a running stream is
handled in the same way.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from linetap.board.interface import CardBoard, Levels
from linetap.capture.alsa import FILL_PERIODS, OVERRUN
from linetap.capture.lineaudio import LineAudio
from linetap.capture.player import Player
from linetap.capture.soundlevels import SoundLevels
from linetap.capture.timeline import JUMP_NS, Drift, Timeline, frames_between
from linetap.config.schema import Card
from linetap.ring import (
    BY_SOUND,
    GAP_CAUSES,
    GAP_OVERRUN,
    GAP_RESTART,
    I16,
    NS_PER_FRAME,
    SLOT_MS,
    UNDERRUN,
    RingWriter,
)
from linetap_core.clock import NS_PER_MS, Clock, RecentEvents
from linetap_core.errors import DeviceFault
from linetap_core.records import CaptureState

POLL_MS = 100
STALL_MS = 1000  # after this time without a period the codec is dead, which must not count as silence
# Playback that does not move while this much is captured has stopped without an underrun, as a USB codec's may: a
# notice then stays in its queue, and would be reported as played.
STUCK_MS = 250
SETTLE_PERIODS = 5
# Capture has the highest priority. With repeated overruns it would use up a processor, so that panel and reporter could
# not report them: after such an overrun it waits as long as it has worked, which leaves half of one processor.
SOON_MS = 2000  # an overrun within this time of the last one is not a single stall
PAUSE_MOST_MS = 500
MOST_OVERRUNS = 20  # without a period between them, after which the codec counts as giving no audio
# Periods are read at once, to empty the buffer, but written in fours: most of a period's work is a wake-up with cold
# caches, and the second of two periods handled together costs a quarter of the first (decision 0010).
BATCH_PERIODS = 4
SHIFTS_NEEDED = 5
SHIFTS_KEPT = 16

log = logging.getLogger("linetap.capture")


class Stream(Protocol):
    """The loop's interface to alsa.Codec."""

    period: int
    frame_bytes: int
    buffer: int
    filled_at_start: int
    available: Callable[[], int]
    room: Callable[[], int]

    def restart_capture(self) -> None: ...
    def refill(self, periods: int = ..., /) -> int: ...
    def wait(self, timeout_ms: int) -> bool: ...
    def read(self) -> bytes | None: ...
    def write(self, data: bytes | None) -> int: ...


class Loop:
    """The loop of one card; `state` is current for the state file."""

    def __init__(
        self,
        card: Card,
        codec: Stream,
        audio: LineAudio,
        ring: RingWriter,
        board: CardBoard,
        player: Player,
        clock: Clock,
        state: CaptureState,
        watch: Callable[[Levels], None] | None = None,
    ) -> None:
        self._card = card
        self._codec = codec
        self._audio = audio
        self._ring = ring
        self._by_sound = SoundLevels(ring.last_hook)
        self._board = board
        self._player = player
        self._clock = clock
        self._state = state
        self._watch = watch  # called with the levels of each period
        self._timeline = Timeline(card.rate_hz)
        self._drift = Drift()
        self._position = 0  # device frames read in this run
        self.written = 0  # playback frames
        self._held: list[tuple[int, bytes]] = []  # read, not yet in the ring
        self._behind = -(-board.behind_ms // SLOT_MS)  # periods that wait for their levels
        self._settling = True
        self._cause = 0
        self._flags = 0
        self._base = 0  # ring device frame - capture position of the same moment on the line
        self._offset = round(card.playback_offset_ms * card.rate_hz / 1000)
        self._shifts: deque[int] = deque(maxlen=SHIFTS_KEPT)
        self._shift_wanted = True
        self._refine_every = 8 * codec.period  # device frames
        self._playback_restarted = False
        self._played: int | None = None  # playback frames at the last turn
        self._unmoved = 0  # device frames captured since that number has changed
        self._last_ns = 0
        self._overran_ns: int | None = None  # time of the last overrun
        self._overruns_in_a_row = 0
        self._overruns = RecentEvents()

    def start(self) -> None:
        """Starts the stream. The time since a predecessor's last slot becomes a gap; a new ring begins without one."""
        self._last_ns = self._clock.monotonic_ns()
        self.written = self._codec.filled_at_start
        self._codec.restart_capture()
        self._begin_run(GAP_RESTART)

    def turn(self) -> bool:
        """Waits for a period and handles it; True if the codec's watched descriptor is readable.

        DeviceFault `codec_stalled` after STALL_MS or MOST_OVERRUNS overruns without a period, or without playback.
        """
        codec = self._codec
        watched = codec.wait(POLL_MS)
        available, room = codec.available(), codec.room()
        now_ns = self._clock.monotonic_ns()
        self._watch_playback(available, room)
        if available == OVERRUN:
            self._overrun()
        elif available >= codec.period:
            self._handle_audio(available, room, now_ns)
        elif now_ns - self._last_ns > STALL_MS * NS_PER_MS:
            raise self._stalled(f"no period for {STALL_MS / 1000:g} s")
        self._feed(room)
        return watched

    def _watch_playback(self, available: int, room: int) -> None:
        """Marks the audio while playback stands still, and gives up after STALL_MS."""
        played = None if room == OVERRUN else self.written - (self._codec.buffer - room)
        if played is None or played != self._played or available == OVERRUN:
            self._played, self._unmoved = played, 0
            return
        was_stuck = self._is_stuck
        self._unmoved += max(0, available) // self._codec.period * self._codec.period
        if self._is_stuck:
            self._flags |= UNDERRUN
            if not was_stuck:
                log.error("playback_stuck: card %d: nothing is played, and no underrun is reported", self._card.number)
                self._lose_playback()
        if self._unmoved >= STALL_MS // SLOT_MS * self._codec.period:
            raise self._stalled(f"nothing is played for {STALL_MS / 1000:g} s")

    @property
    def _is_stuck(self) -> bool:
        return self._unmoved >= STUCK_MS // SLOT_MS * self._codec.period

    def _stalled(self, why: str) -> DeviceFault:
        where = f"{self._card.capture_pcm} (card {self._card.number})"
        return DeviceFault("codec_stalled", f"{where}: {why}; check the codec's cable and power")

    def overruns_lately(self) -> int:
        """The number of recent overruns."""
        return self._overruns.count(self._clock.monotonic_ns())

    def _handle_audio(self, available: int, room: int, now_ns: int) -> None:
        self._last_ns, self._overruns_in_a_row = now_ns, 0
        period, captured = self._codec.period, self._position + available
        if self._timeline.observe(now_ns, captured) and not self._settling:
            # The last period follows the hole. The periods before may be on either side, so they are lost too.
            if not self._read(available - period, keep=False):
                return
            available = captured - self._position
            self._write_held()
            self._settling, self._cause = True, GAP_OVERRUN
            self._begin_timeline()
            self._timeline.observe(now_ns, captured)
        self._drift.observe(now_ns, self._timeline.origin_ns)
        self._state.drift_ppm = self._drift.ppm
        self._observe_shift(captured, room)
        self._read(available)

    def _read(self, frames: int, keep: bool = True) -> bool:
        """Reads the whole periods among `frames`; False if that ended in an overrun."""
        for _ in range(frames // self._codec.period):
            data = self._codec.read()
            if data is None:
                self._overrun(prepared=True)
                return False
            if len(data) != self._codec.period * self._codec.frame_bytes:  # cut off by an overrun
                self._overrun()
                return False
            if keep:
                self._held.append((self._position, data))
            self._position += self._codec.period
            self._pass_on()
        return True

    def _pass_on(self) -> None:
        """Writes held periods into the ring, once there are enough."""
        if self._settling:
            if len(self._held) >= SETTLE_PERIODS + self._behind:
                self._date_periods(self._behind)
        elif len(self._held) >= BATCH_PERIODS + self._behind:
            self._write_held(self._behind)

    def _write_held(self, but: int = 0) -> None:
        """Writes all held periods except the last `but`."""
        due = len(self._held) - but
        for position, data in self._held[:due]:
            self._write(position, data)
        del self._held[:due]

    def _write(self, position: int, data: bytes) -> None:
        mono_ns = self._timeline.ns_at(position) - self._audio.delay_ns
        audio = self._audio.period(data)
        levels = self._levels(mono_ns + SLOT_MS * NS_PER_MS, audio)
        device_frame = self._ring.next_device_frame
        if self._watch is not None:
            self._watch(levels)
        tags, notice_frames = self._player.report(device_frame)
        self._ring.write(
            audio, levels.hook, levels.ring, levels.polarity, levels.volts, tags, notice_frames,
            mono_ns, self._utc_ns_at(mono_ns), self._flags,
        )  # fmt: skip
        self._flags = 0
        self._player.finish(device_frame + self._codec.period)
        self._state.progress += 1

    def _levels(self, until_ns: int, audio: I16) -> Levels:
        """The board's levels; while the card's meter is silent, levels by sound, with a flag."""
        levels, meter = self._board.levels(until_ns), self._board.meter
        if meter is not None and not meter.connected:
            self._flags |= BY_SOUND
            return self._by_sound.levels(audio)
        if meter is not None:
            self._by_sound.set_hook(levels)
        return levels

    def _utc_ns_at(self, mono_ns: int) -> int:
        """The time by the present clock; never before 1970, even if the clock was just set to 1970."""
        return max(0, mono_ns + self._clock.utc_ns() - self._clock.monotonic_ns())

    def _date_periods(self, but: int = 0) -> None:
        """Dates the held periods; writes the gap before them, then all of them except the last `but`."""
        self._settling = False
        first = self._held[0][0]
        end_ns, jump_only = self._ring.end_mono_ns, self._cause == GAP_OVERRUN and first > 0
        if end_ns is not None:
            first_ns = self._timeline.ns_at(first) - self._audio.delay_ns
            frames = frames_between(end_ns, first_ns, NS_PER_FRAME)
            if frames and not (jump_only and frames * NS_PER_FRAME < JUMP_NS):
                self._gap(frames, end_ns)
        self._base = self._ring.next_device_frame - first + self._audio.delay_frames
        self._shifts.clear()
        self._shift_wanted = True
        self._write_held(but)

    def _gap(self, frames: int, end_ns: int) -> None:
        self._ring.write_gap(frames, end_ns, self._utc_ns_at(end_ns), self._cause)
        self._audio.reset()
        self._state.gap_ms += frames * NS_PER_FRAME / NS_PER_MS
        if self._cause == GAP_OVERRUN:
            self._state.overruns += 1
            self._overruns.add(self._clock.monotonic_ns())
        milliseconds = frames * NS_PER_FRAME / NS_PER_MS
        log.warning("%s: card %d lost %.1f ms", GAP_CAUSES[self._cause], self._card.number, milliseconds)

    def _begin_timeline(self) -> None:
        self._timeline.begin()
        self._drift.begin()

    def _begin_run(self, cause: int) -> None:
        self._begin_timeline()
        self._position = 0
        self._settling, self._cause = True, cause

    def _overrun(self, prepared: bool = False) -> None:
        """Restarts the stream after an overrun, which loses all audio in ALSA.

        `prepared`: a read has reported the overrun, and a further read would belong to the new run.
        """
        if self._settling and self._held:
            self._date_periods()
        self._write_held()
        cause = self._cause if self._settling else GAP_OVERRUN  # an undated hole only grows
        reads = 0 if prepared else self._codec.buffer // self._codec.period + 1
        while reads and self._codec.read() is not None:  # the report of the overrun prepares the stream
            reads -= 1
        self._overruns_in_a_row += 1
        if self._overruns_in_a_row > MOST_OVERRUNS:
            raise self._stalled(f"{self._overruns_in_a_row} overruns and not a period between them")
        self._pause()
        self._codec.restart_capture()
        self._begin_run(cause)

    def _pause(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._overran_ns is not None:
            since_ms = (now_ns - self._overran_ns) // NS_PER_MS
            if since_ms < SOON_MS:
                self._clock.sleep(min(max(since_ms, SLOT_MS), PAUSE_MOST_MS) / 1000)
                self._last_ns = self._clock.monotonic_ns()  # the loop did not wait for the codec
        self._overran_ns = self._clock.monotonic_ns()

    def _feed(self, room: int) -> None:
        """Fills playback up to FILL_PERIODS."""
        if room == OVERRUN:
            self._underrun()
            return
        queued = self._codec.buffer - room
        while queued < FILL_PERIODS * self._codec.period:
            taken = self._codec.write(self._player.fill(self.written, queued))
            if taken == OVERRUN:
                self._underrun()
                return
            if taken == 0:
                return
            self.written += taken
            queued += taken

    def _lose_playback(self) -> None:
        """Marks the audio and discards the shift: playback frames have shifted against positions on the line."""
        self._state.underruns += 1
        self._flags |= UNDERRUN
        self._player.lost_playback()
        self._playback_restarted = self._shift_wanted = True
        self._shifts.clear()

    def _underrun(self) -> None:
        self._lose_playback()
        self._codec.write(None)  # returns the underrun and prepares the stream
        self.written += self._codec.refill()

    def _observe_shift(self, captured: int, room: int) -> None:
        """Measures the shift by both positions at one moment: audio played now is captured `offset` frames later."""
        if self._settling or self._is_stuck or room == OVERRUN:
            return
        if not (self._shift_wanted or self._position % self._refine_every == 0):
            return
        played = self.written - (self._codec.buffer - room)
        self._shifts.append(self._base + captured - played + self._offset)
        improved = len(self._shifts) == SHIFTS_KEPT and not self._player.busy
        if improved or (self._shift_wanted and len(self._shifts) >= SHIFTS_NEEDED):
            self._player.set_shift(sorted(self._shifts)[(len(self._shifts) - 1) // 2], self._playback_restarted)
            self._shift_wanted = self._playback_restarted = False
            if improved:
                self._shifts.clear()
