# SPDX-License-Identifier: Apache-2.0
"""The exchange in real time: plays the lines into the cable, feeds the wires, and returns a notice as a hybrid does.

One loop, driven by the capture side: for each period of notices read, one period of the lines is written. The playback
queue therefore keeps its first fill, which delays the echo. Audio is rendered ahead in the same loop, a block at a
time; a thread would only compete for the interpreter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.board.meter.contacts import OneShots
from linetap.board.meter.protocol import CONTACT_REST_MS
from linetap.board.wires import Wires, wires_path
from linetap.config.schema import Config
from linetap.ring import I16, RATE_HZ
from linetap_bench.exchange.feed import Anchor, AudioFeed, LevelFeed, Played, PlayedLog
from linetap_bench.exchange.linetimeline import Front, fronts, with_leaks
from linetap_bench.exchange.releasing import InPlace, LineRelease, StuckContacts
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.scriptkeys import LineSetup, Script
from linetap_bench.script.timing import PER_MS
from linetap_bench.sounds.voices import Voices
from linetap_bench.stage.cable import BUFFER_MS, DRY, Cable, CableEnd, report_late
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, Clock
from linetap_core.errors import BadInput, DeviceFault

JUMP_NS = 2 * NS_PER_MS  # a greater step of the cable's clock counts as a jump

log = logging.getLogger("linetap.bench")


class Exchange:
    """The lines of one card. Create and start it before the unit's capture, which uses its connections by name."""

    def __init__(self, config: Config, script: Script, voices: Voices, cable: Cable, clock: Clock = SYSTEM) -> None:
        """BadInput when script and configuration do not fit; DeviceFault when the cable cannot be opened."""
        card = config.card[0]
        lines = config.lines_of(card.number)
        numbers = [line.number for line in lines]
        _check_lines(script, numbers)
        self._clock = clock
        self._channels = [line.channel - 1 for line in lines]
        setups = [script.setup(number) for number in numbers]
        gains = [_echo(setup, front) for setup, front in zip(setups, fronts(len(setups)), strict=True)]
        self._gains = np.array(gains)[:, None]
        self._duration = script.duration_ms * PER_MS
        factor = card.rate_hz // RATE_HZ
        timeline = Timeline(script, voices, numbers)
        idle = Timeline(msgspec.structs.replace(script, call=[], duration_s=0.0), voices, numbers)
        self._feed = AudioFeed(idle, timeline, factor)
        self._factor = factor
        self._card = card
        self._cable = cable
        self._anchor = Anchor(card.rate_hz)
        self._written = 0
        self._dtype = np.dtype("<i4" if card.format == "S32_LE" else "<i2")
        self._shift = 16 if card.format == "S32_LE" else 0
        self.played = Played(rate_hz=card.rate_hz, lines=numbers)
        self._log: PlayedLog | None = None
        self._stalled = False
        self._dry_at_ns = self._read_ns = clock.monotonic_ns()  # end of queued playback; capture's last read
        self._end = CableEnd(card, cable)
        self._wires = Wires.create(wires_path(config.run_path, card.number), len(lines))
        metered = card.meter_port is not None
        self._levels = LevelFeed(self._wires, timeline, clock.monotonic_ns(), metered)
        self._timeline = timeline
        self._silence = np.zeros((len(lines), self._end.period), np.int16)
        self._one_shots = OneShots(len(lines), clock.monotonic_ns() - CONTACT_REST_MS * NS_PER_MS)
        self._stuck = StuckContacts([setup.contact for setup in setups])
        self._releases = [LineRelease(setup) for setup in setups]
        self._in_place = [InPlace() for _ in setups]

    def start(self, played_log: PlayedLog | None = None) -> None:
        """Starts both directions; the lines are on-hook."""
        self._log = played_log
        self._fill()
        self._end.start_capture()

    def run(self, may_begin: Callable[[], bool], stop: Callable[[], bool]) -> None:
        """Runs until the script is over or `stop()` is true. `may_begin()` is called while the lines wait on-hook.

        DeviceFault `cable_stalled` if the sound server stops answering.
        """
        heard_ns = self._clock.monotonic_ns()
        while not stop() and not self._over():
            self._end.wait(100)
            if self._exchange_periods():
                heard_ns = self._clock.monotonic_ns()
                if self._feed.begins_at is None and may_begin():
                    self.played.script_sample = self._feed.begin() * self._factor
                self._follow_contacts()
                self._align()
                self._feed.render_ahead()
            elif self._clock.monotonic_ns() - heard_ns > self._cable.stalled_ms * NS_PER_MS:
                self._end.abandon()
                self._stalled = True
                text = f"{self._cable.capture_pcm}: no period for {self._cable.stalled_ms} ms"
                raise DeviceFault("cable_stalled", text)

    def close(self) -> None:
        """Unplugs every line."""
        if not self._stalled:
            self._end.close()
        if self._log is not None:
            self._log.close(self.played)
        self._wires.close()

    def _exchange_periods(self) -> bool:
        """Reads all available periods and writes as many. Returns False if there were none."""
        period, moved = self._end.period, False
        while True:
            # checked before the received frames: more may arrive afterwards
            lacks = self._queued() < self._least_frames
            available = self._end.available()
            if available == DRY or available >= period:
                moved = True
                data = self._end.read()
                if data is None:
                    self._overran()
                    return moved
                self._read_ns = self._clock.monotonic_ns()
                if self._queued() <= self._fill_frames:  # a block queued by an under-run would echo late
                    self._put(self._notices(data), period)
            elif lacks:
                self._put(None, period)
            else:
                return moved

    @property
    def _fill_frames(self) -> int:
        return max(2, self._cable.fill_ms // self._cable.period_ms) * self._end.period

    @property
    def _least_frames(self) -> int:
        """The smallest allowed queue in frames: each direction may lack a period, because their counts are not in
        step.
        """
        return max(self._fill_frames - 2 * self._end.period, self._end.period)

    def _fill(self) -> None:
        """Fills the queue in one write: the first write starts the stream, and a second might come too late."""
        self._put(None, self._fill_frames)

    def _queued(self) -> int:
        room = self._end.room()
        if room == DRY:
            self._underran(self._feed.take(0)[1])
            room = self._end.room()
        queued = self._end.buffer - room
        self._dry_at_ns = self._clock.monotonic_ns() + self._ns(queued)
        return queued

    def _ns(self, frames: int) -> int:
        return frames * NS_PER_S // self._card.rate_hz

    def _notices(self, data: bytes) -> I16:
        """The audio that the unit plays: int16 (lines, frames); `_silence` most of the time."""
        frames = np.frombuffer(data, self._dtype)
        if not frames.any():
            return self._silence
        frames = frames.reshape(-1, self._card.channels)
        notices: I16 = (frames[:, self._channels].T >> self._shift).astype(np.int16)
        return notices

    def _follow_contacts(self) -> None:
        """Copies the loops that the card opens and closes to the exchange's side of each line."""
        now_ns = self._clock.monotonic_ns()
        now_ms = now_ns // NS_PER_MS
        opened = self._stuck.open_contacts(self._one_shots.look(self._wires.commanded_open(now_ms), now_ns))
        script_ms = now_ms - self._levels.shift_ms
        if not opened.any() and all(release.quiet for release in self._releases):
            self.played.left_open = []
            self._levels.hold_open(opened, now_ns)
            return
        for row, release in enumerate(self._releases):
            if release.quiet and not opened[row]:
                continue
            lifted, incoming = self._timeline.lifted(row, script_ms), self._timeline.is_incoming(row, script_ms)
            done = release.update(now_ms, bool(opened[row]), lifted, incoming)
            if done is not None:
                self.played.releases.append(done)
        lines = zip(self.played.lines, self._releases, strict=True)
        self.played.left_open = [number for number, release in lines if release.loop_open]
        self._levels.hold_open(opened, now_ns)

    def _replaced(self, lines: npt.NDArray[np.float64], sounds: dict[int, str]) -> None:
        """Replaces the sound of lines whose call was ended by their contact with the exchange's own tones."""
        length = lines.shape[1]
        n = -(-length // self._factor)
        for row, sound in sounds.items():
            tone = self._in_place[row].render(sound, n)
            own = self._timeline.lines[row].idle_audio(self._written // self._factor, n, tone)
            lines[row] = np.repeat(own, self._factor)[:length]

    def _put(self, notices: I16 | None, length: int) -> None:
        script, leaked = self._feed.take(length)
        now_ms = self._clock.monotonic_ns() // NS_PER_MS
        sounds = {row: sound for row, each in enumerate(self._releases) if (sound := each.sound(now_ms)) is not None}
        returned = None
        if notices is not None and notices is not self._silence:
            returned = notices * self._gains * self._wires.closed(now_ms)[:, None]
        block = leaked
        if sounds or returned is not None:
            lines = script.astype(np.float64)
            self._replaced(lines, sounds)
            block = with_leaks(lines if returned is None else lines + returned)
        if not self._try_write(block):
            self._underran(block)

    def _try_write(self, block: I16) -> bool:
        """Writes a block. False, without accepting `block`, if the stream had run dry."""
        frames = np.zeros((block.shape[1], self._card.channels), self._dtype)
        frames[:, self._channels] = block.T.astype(self._dtype) << self._shift
        taken = self._end.write(frames.tobytes())
        if taken == DRY:
            return False
        if taken != block.shape[1]:
            raise DeviceFault("cable_full", f"{self._cable.playback_pcm}: took {taken} of {block.shape[1]} frames")
        self._written += taken
        self._dry_at_ns = max(self._dry_at_ns, self._clock.monotonic_ns()) + self._ns(taken)
        if self._log is not None:
            self._log.add(block)
        return True

    def _underran(self, block: I16) -> None:
        """Handles an under-run: the lines were silent for an unknown time; `block` and later ones are dated again."""
        self.played.underruns += 1
        report_late("the exchange", (self._clock.monotonic_ns() - self._dry_at_ns) / NS_PER_MS)
        log.warning("under-run %d at %.3f s", self.played.underruns, self._written / self._card.rate_hz)
        self._anchor.forget()
        block = np.concatenate([block, self._feed.take(self._fill_frames)[1]], axis=1)
        if not self._try_write(block) and not self._try_write(block):
            raise DeviceFault("cable_dry", f"{self._cable.playback_pcm}: does not start again after an under-run")

    def _overran(self) -> None:
        self.played.overruns += 1
        since_ms = (self._clock.monotonic_ns() - self._read_ns) / NS_PER_MS
        report_late("the exchange", since_ms - BUFFER_MS)
        log.warning("overrun %d: notices of a moment did not come back", self.played.overruns)
        self._end.start_capture()

    def _align(self) -> None:
        queued = self._queued()  # checked before `_written` is read: it may find an under-run, and refill
        consumed = self._written - queued
        now_ns = self._clock.monotonic_ns()  # after the check of the queue: the time may be late, never early
        start_ns = self._anchor.advance(consumed, now_ns)
        anchors = self.played.anchors
        if not anchors:
            self.played.start_mono_ns = start_ns
        if not anchors or abs(start_ns - _start_of(anchors[-1], self._card.rate_hz)) > JUMP_NS:
            anchors.append((consumed, start_ns + consumed * NS_PER_S // self._card.rate_hz))
        self.played.samples = self._written
        begins = self._feed.begins_at
        script_ns = None if begins is None else start_ns + begins * NS_PER_S // RATE_HZ
        self._levels.update(script_ns, now_ns)

    def _over(self) -> bool:
        begins = self._feed.begins_at
        if begins is None:
            return False
        return self._written - self._fill_frames >= (begins + self._duration) * self._factor


def _echo(setup: LineSetup, front: Front) -> float:
    """The captured share of a notice's amplitude."""
    echo_db = front.echo_db if setup.echo_db is None else setup.echo_db
    return 0.0 if setup.deaf else float(10 ** (echo_db / 20))


def _start_of(anchor: tuple[int, int], rate_hz: int) -> int:
    return anchor[1] - anchor[0] * NS_PER_S // rate_hz


def _check_lines(script: Script, numbers: list[int]) -> None:
    strange = {call.line for call in script.call} | {line.number for line in script.line}
    if strange := strange - set(numbers):
        listed = ", ".join(str(number) for number in sorted(strange))
        raise BadInput(f"the script has line {listed}; the configuration's first card has {numbers}")
