# SPDX-License-Identifier: Apache-2.0
"""A codec that overruns on request; a real one cannot be made to overrun between two reads.

It behaves as pyalsaaudio 0.11 does (alsaaudio.c, alsapcm_read): one -EPIPE, with the stream prepared again; the next
read starts the stream and returns no frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from linetap.boardchoice import open_card
from linetap.capture.alsa import OVERRUN
from linetap.capture.lineaudio import LineAudio
from linetap.capture.loop import Loop
from linetap.capture.player import Player
from linetap.capture.service import _first_state
from linetap.learned import LearnedWatch
from linetap.notices import load_notices
from linetap.ring import RATE_HZ, SLOT_MS, RingWriter
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock
from linetap_core.records import CaptureState
from unit_rig import make_unit

BUFFER_PERIODS = 20
READ_NS = NS_PER_MS // 10


class Codec:
    """8 lines at 8 kHz. Time advances by `wait`, if there is no period yet, and by every read."""

    period = RATE_HZ * SLOT_MS // 1000
    buffer = BUFFER_PERIODS * period
    frame_bytes = 2 * 8
    filled_at_start = 4 * period

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.runs_from_ns: int | None = None  # None: prepared, not running
        self.was_read = 0  # frames read in this run
        self.slow_read_ms = 0  # delay of the next read
        self.work_ns = READ_NS  # duration of a read
        self.cuts_off = False  # the next read returns half a period
        self.reads = 0
        self.is_dead = False  # it overruns after every restart
        self.never_reports = False  # reads do not report overruns
        self.available = lambda: OVERRUN if self.is_dead or self._there() > self.buffer else self._there()
        self.put = self.filled_at_start  # playback frames
        self.plays_from_ns = clock.monotonic_ns()
        self.stuck_ns: int | None = None  # since then nothing is played, and no underrun is reported
        self.room = lambda: self.buffer - max(0, self.put - self._played())

    def _there(self) -> int:
        if self.runs_from_ns is None:
            return 0
        return (self.clock.monotonic_ns() - self.runs_from_ns) * RATE_HZ // NS_PER_S - self.was_read

    def _played(self) -> int:
        now_ns = self.clock.monotonic_ns() if self.stuck_ns is None else self.stuck_ns
        return (now_ns - self.plays_from_ns) * RATE_HZ // NS_PER_S

    def restart_capture(self) -> None:
        self.read()

    def refill(self, periods: int = 4) -> int:
        self.put += periods * self.period
        return periods * self.period

    def wait(self, timeout_ms: int) -> bool:
        if self._there() < self.period:
            self.clock.advance(min(SLOT_MS, timeout_ms) * NS_PER_MS)
        return False

    def read(self) -> bytes | None:
        self.reads += 1
        self.clock.advance(self.work_ns + self.slow_read_ms * NS_PER_MS)
        self.slow_read_ms = 0
        if self.runs_from_ns is None:
            self.runs_from_ns, self.was_read = self.clock.monotonic_ns(), 0
        if (self.is_dead and not self.never_reports) or self._there() > self.buffer:
            self.runs_from_ns = None
            return None
        frames = min(self.period // 2 if self.cuts_off else self.period, self._there())
        self.cuts_off = False
        self.was_read += frames
        return bytes(self.frame_bytes * frames)

    def write(self, data: bytes | None) -> int:
        frames = self.period if data is None else len(data) // self.frame_bytes
        self.put = max(self.put, self._played()) + frames  # late frames are played late: underruns are not tested here
        return frames


@contextmanager
def on_codec(tmp_path: Path, run_dir: Path) -> Iterator[tuple[Loop, Codec, CaptureState]]:
    config = make_unit(tmp_path, run_dir, lines=8).config
    card, lines = config.card[0], config.lines_of(1)
    clock = ManualClock(1_795_647_360 * NS_PER_S, 50 * NS_PER_S)
    numbers = [line.number for line in lines]
    with (
        closing(open_card(config, 1, LearnedWatch(Path(config.learned)))) as board,
        closing(RingWriter(config.run_path, 1, numbers, card.ring_s, card.rate_hz)) as ring,
    ):
        player = Player(card, lines, load_notices(Path(config.notices)), board)
        codec, state = Codec(clock), _first_state(config, card)
        yield Loop(card, codec, LineAudio(card, lines), ring, board, player, clock, state), codec, state
