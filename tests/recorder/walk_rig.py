# SPDX-License-Identifier: Apache-2.0
"""A recorder over a live ring, and a person who follows the unit's instructions, on lines with faults.

Time is the test's own. Slots are written as by capture, and the recorder processes them every few slots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from sounds import busy, dial, digits

from linetap.config import Config
from linetap.notices import load_notices
from linetap.recorder.service import Service, _first_state
from linetap.ring import NO_VOLTS, NS_PER_FRAME, RATE_HZ, SLOT_FRAMES, RingWriter
from linetap.sockets import Listener, SocketClient
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.records import (
    RECORDER_SOCKET,
    CaptureCommand,
    PlayNotice,
    RecorderCommand,
    Refused,
    StartWalk,
    WalkedLine,
    Walking,
    WalkState,
    WalkStep,
)
from linetap_core.rundir import socket_path
from linetap_core.service import StateFile

UTC_NS = 1_795_647_360 * NS_PER_S
ECHO_DELAY = 240
SLOTS_A_TURN = 10
MOST_TURNS = 6000  # ten minutes of the lines' time


@dataclass
class Wire:
    """One pair, and the actions of the person at it. Times are seconds of the line's own."""

    battery_v: float | None = -48.0  # None: there is no meter; 0: nothing is connected
    echo_db: float = -6.0
    noise: float = 8.0  # rms
    digit: str = "1"  # empty: not dialled
    lifts: bool = True
    busy_after_s: float | None = None  # busy tone of the exchange, after the handset was lifted
    off_hook: list[tuple[float, float]] = field(default_factory=list)  # further times off-hook
    rings: list[tuple[float, float]] = field(default_factory=list)
    lifted_at: float | None = None
    asked: WalkStep | None = None
    asked_at: float = 0.0
    sounds: list[tuple[int, np.ndarray]] = field(default_factory=list)  # first frame, samples
    played_at: int | None = None

    def is_off(self, t: float) -> bool:
        return self.lifted_at is not None or any(a <= t < b for a, b in self.off_hook)

    def carry_out(self, walk: WalkState, line: int, t: float) -> None:
        """Does what the unit requests, half a second later."""
        step = walk.step if walk.line == line else None
        if step != self.asked:
            self.asked, self.asked_at = step, t
        elif t - self.asked_at < 0.5:
            return
        elif step == "lift" and self.lifts and self.lifted_at is None:
            self.lifted_at = t
            self.say(t, dial(1.0))
            if self.busy_after_s is not None:
                self.say(t + self.busy_after_s, busy(60.0))
        elif step == "dial" and self.digit and not any(len(samples) < 8000 for _, samples in self.sounds):
            self.say(t, digits(self.digit))
        elif step == "down" and t - self.asked_at >= 1.0:
            self.lifted_at, self.sounds = None, []

    def say(self, t: float, samples: np.ndarray) -> None:
        self.sounds.append((round(t * RATE_HZ), samples))


class Walked:
    """`with Walked(config, wires) as unit:`; lines are numbered as the wires are, from 1."""

    def __init__(self, config: Config, wires: list[Wire]) -> None:
        self.config, self.wires = config, wires
        self.clock = ManualClock(UTC_NS, 50 * NS_PER_S)
        self.ring = RingWriter(config.run_path, 1, list(range(1, len(wires) + 1)), 120, 8000)
        self.capture = Listener(socket_path(config.run_path, 1))
        self.notices = {notice.tag: notice for notice in load_notices(Path(config.notices)).values()}
        self.frame, self.rng = 0, np.random.default_rng(7)
        self.service = self._start()

    def __enter__(self) -> Walked:
        return self

    def __exit__(self, *_: object) -> None:
        self.service.end()
        self._hang_up()
        self.capture.close()
        self.ring.close()

    def restart(self) -> None:
        """Restarts as after a kill: only files on tmpfs are left."""
        self.service.control.close()
        self.service.vault.stop(10)
        self._hang_up()
        self.service = self._start()

    def start_after_failure(self) -> None:
        """Starts as after an exception: the service has written its last state."""
        self.service.end()
        self._hang_up()
        self.service = self._start()

    def _hang_up(self) -> None:
        """Closes the socket, as the kernel does for an ended process."""
        for caller in self.service.cards._callers.values():
            caller.close()

    def until(self, true: Callable[[], bool], what: str) -> None:
        for _ in range(MOST_TURNS):
            if true():
                return
            self.turn()
        raise AssertionError(f"it never came to it: {what}")

    def ask(self, command: RecorderCommand) -> list[str]:
        """Sends a command like panel and terminal. Returns the refusal, or nothing."""
        caller = SocketClient(self.config.run_path / RECORDER_SOCKET)
        try:
            caller.send(msgspec.json.encode(command))
            self.turn()  # accepts the connection
            self.turn()  # reads the command
            answers = [msgspec.json.decode(data, type=Refused | Walking) for data in caller.answers()]
            return [answer.why for answer in answers if isinstance(answer, Refused)]
        finally:
            caller.close()

    def walk_all(self, *lines: int) -> dict[int, WalkedLine]:
        """Runs a whole walk test; returns the result of each line."""
        assert self.ask(StartWalk("terminal", list(lines))) == []
        self.until(self.over, "the walk test is over")
        assert self.walk is not None
        return {walked.line: walked for walked in self.walk.lines}

    def turn(self) -> None:
        for _ in range(SLOTS_A_TURN):
            self._slot()
        self.service.turn()

    @property
    def walk(self) -> WalkState | None:
        return self.service.guide.state()

    def over(self) -> bool:
        """Whether the walk has ended, and the vault's thread has written everything."""
        walk = self.walk
        return walk is not None and walk.ended_by is not None and self._told() and not self.service.vault.unfinished()

    def _told(self) -> bool:
        return self.service.guide.walk is not None and self.service.guide.walk.reported

    def _start(self) -> Service:
        state_file = StateFile(self.config.run_path, "recorder", self.clock)
        return Service(self.config, self.clock, state_file, _first_state(self.config, self.clock))

    def _slot(self) -> None:
        self.clock.advance(SLOT_FRAMES * NS_PER_FRAME)
        for _, data in self.capture.poll():
            command = msgspec.json.decode(data, type=CaptureCommand)
            at = max(command.at_frame, self.frame) if isinstance(command, PlayNotice) else None
            self.wires[command.line - 1].played_at = at
        t, n = self.frame / RATE_HZ, len(self.wires)
        hook, ring = np.zeros((n, 10), np.bool_), np.zeros((n, 10), np.bool_)
        volts, tags, places = np.zeros(n, np.int16), np.zeros(n, np.uint32), np.zeros(n, np.int32)
        audio = self.rng.standard_normal((n, SLOT_FRAMES))
        walk = self.walk
        for i, wire in enumerate(self.wires):
            if walk is not None:
                wire.carry_out(walk, i + 1, t)
            off = wire.is_off(t)
            hook[i], ring[i] = off, any(a <= t < b for a, b in wire.rings)
            volts[i] = _volts(wire, off)
            audio[i] = audio[i] * wire.noise + self._heard(wire, i, tags, places)
        mono = self.clock.monotonic_ns()
        samples = np.clip(np.rint(audio), -32768, 32767).astype(np.int16)
        self.ring.write(samples, hook, ring, hook & False, volts, tags, places, mono, self.clock.utc_ns(), 0)
        self.frame += SLOT_FRAMES

    def _heard(self, wire: Wire, i: int, tags: np.ndarray, places: np.ndarray) -> np.ndarray:
        out = np.zeros(SLOT_FRAMES)
        (notice,) = self.notices.values()
        if wire.played_at is not None and wire.is_off(self.frame / RATE_HZ):
            place = self.frame - wire.played_at
            if -SLOT_FRAMES < place < notice.frames:
                tags[i], places[i] = notice.tag, place
            _add(out, place - ECHO_DELAY, notice.samples * 10 ** (wire.echo_db / 20))
        if wire.is_off(self.frame / RATE_HZ):
            for first, samples in wire.sounds:
                _add(out, self.frame - first, samples)
        return out


def _add(out: np.ndarray, place: int, samples: np.ndarray) -> None:
    at = place + np.arange(SLOT_FRAMES)
    inside = (at >= 0) & (at < len(samples))
    out[inside] += samples[at[inside]]


def _volts(wire: Wire, off: bool) -> int:
    if wire.battery_v is None:
        return NO_VOLTS
    return round(100 * (wire.battery_v / 6 if off else wire.battery_v))
