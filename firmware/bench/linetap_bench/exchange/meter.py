# SPDX-License-Identifier: Apache-2.0
"""A simulated line meter: measures the simulated wires, with the faults of a real one on request.

`Meter` is the microcontroller without any I/O; `MeterOnPty` gives it a serial port that can be unplugged. Tests compare
it with the program of a real meter, which a stage runs on its wires (`linetap_bench.stage.stage`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import tty
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from linetap.board.meter import protocol as wire
from linetap.board.meter.contacts import OneShots
from linetap.board.meter.protocol import Deframer, encode
from linetap.ring import I16
from linetap_bench.exchange.meterlines import Edge, MeterLines, VoltsAt
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, Clock

WAITS_S = 0.004  # within the 5 ms of a frame
AT_ONCE = 20  # most frames sent at once by a meter that is polled rarely


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults of a meter and its line."""

    drift_ppm: float = 0.0
    lost: float = 0.0  # share of lost frames
    noise: float = 0.0  # share of frames with noise before them
    damaged: float = 0.0  # share of frames with a flipped bit
    jitter_ms: float = 0.0  # the longest delay of a frame
    deaf_ms: float = 0.0  # the longest delay before a beat is read


NONE = Faults()
_HEARD = {frame.code: frame for frame in wire.FRAMES if frame.sender == "linetap"}


class Meter:
    """Samples every millisecond of its own clock. `sent_until` returns its output; `receive` accepts its input."""

    def __init__(
        self, volts: VoltsAt, channels: int, now_ns: int, faults: Faults = NONE, seed: int = 1, beginning_us: int = 0
    ) -> None:
        self._volts = volts
        self._channels = channels
        self._faults = faults
        self._random = np.random.default_rng(seed)
        self.tamper = self.power_fail = False
        self.converters = 0  # flags of converters that are not configured
        self.lights: list[int] = []
        self.limits: list[tuple[int, int]] = []
        self.beats = 0
        self._relays_until_us = 0
        self._beat_us = beginning_us
        self._frames = Deframer()
        self.restart(now_ns, beginning_us)

    def restart(self, now_ns: int, beginning_us: int = 0) -> None:
        """Restarts as after a brown-out: the clock starts again, and the settings are lost."""
        self._began_ns, self._beginning_us = now_ns, beginning_us
        self._boot = int(self._random.integers(1 << 32))
        self._sequence = 0
        self._next = beginning_us // wire.SAMPLE_US + 1  # number of the next sample
        self._hello_us = self._status_us = beginning_us
        self._flags: int | None = None
        self._lines = MeterLines(self._channels)
        self.lights = []
        self._relays = 0
        self._asked, self._asked_until_us = 0, 0
        self._one_shots = OneShots(self._channels, now_ns)
        self.opened = 0  # mask of contacts held open
        self._queue: deque[tuple[int, bytes]] = deque()
        self._frames.forget()

    def us_at(self, mono_ns: int) -> int:
        """The reading of the meter's clock at this time."""
        return self._beginning_us + int((mono_ns - self._began_ns) * (1 + self._faults.drift_ppm / 1e6)) // 1000

    def mono_ns_at(self, us: int) -> int:
        return self._began_ns + round((us - self._beginning_us) * 1000 / (1 + self._faults.drift_ppm / 1e6))

    def relays(self, now_ns: int) -> int:
        """Mask of the closed relays: each command expires by itself."""
        return self._relays if self.us_at(now_ns) < self._relays_until_us else 0

    def _follow_contacts(self, us: int) -> None:
        asked = self._asked if us < self._asked_until_us else 0
        if not asked and self._one_shots.at_rest:
            return
        each = np.array([bool(asked >> channel & 1) for channel in range(self._channels)])
        before = self.opened
        opened = self._one_shots.look(each, self.mono_ns_at(us))
        self.opened = sum(1 << int(channel) for channel in np.flatnonzero(opened))
        if self.opened != before:
            self._send(us, wire.OPENED, self.opened)

    def lamps(self, now_ns: int) -> list[str]:
        """The states of the line LEDs: as commanded, or a fault after linetap has been silent."""
        stale = self.us_at(now_ns) >= self._beat_us + wire.LAMPS_EXPIRY_MS * 1000
        commanded = [wire.LEDS[led] if led < len(wire.LEDS) else "dark" for led in self.lights]
        return ["fault" if stale and led != "dark" else led for led in commanded]

    def sent_until(self, now_ns: int) -> bytes:
        """The bytes sent since the last call."""
        self._measure_until(now_ns)
        out = b""
        while self._queue and self._queue[0][0] <= now_ns:
            out += self._queue.popleft()[1]
        return out

    def _measure_until(self, now_ns: int) -> None:
        now_us = self.us_at(now_ns)
        while (frames := (now_us // wire.SAMPLE_US + 1 - self._next) // wire.SAMPLES_A_FRAME) > 0:
            self._measure(min(frames, AT_ONCE))

    def _measure(self, frames: int) -> None:
        """Evaluates all samples of these frames at once, and sends each frame when it is due."""
        n = wire.SAMPLES_A_FRAME
        firsts = range(self._next, self._next + frames * n, n)
        self._next += frames * n
        each = [self._volts_of(first, n) for first in firsts]
        known = self._lines.push(firsts[0], np.concatenate(each, axis=1), n)
        for first, volts, edges in zip(firsts, each, known, strict=True):
            self._send_samples(first, volts, edges)

    def _volts_of(self, first: int, n: int) -> I16:
        if not self._faults.drift_ppm:  # a sample a millisecond
            return self._volts(self.mono_ns_at(first * wire.SAMPLE_US) // NS_PER_MS, n)
        times_ms = [self.mono_ns_at((first + i) * wire.SAMPLE_US) // NS_PER_MS for i in range(n)]
        span = self._volts(times_ms[0], times_ms[-1] - times_ms[0] + 1)
        return span[:, [at - times_ms[0] for at in times_ms]]

    def _send_samples(self, first: int, volts: I16, edges: list[Edge]) -> None:
        n = volts.shape[1]
        last_us = (first + n - 1) * wire.SAMPLE_US
        for sample, channel, edge, level in edges:
            self._send(last_us, wire.EDGE, sample * wire.SAMPLE_US, channel, edge, level)
        if last_us >= self._hello_us:
            self._hello_us = _next(last_us, wire.HELLO_EVERY_MS)
            self._send(last_us, wire.HELLO, wire.VERSION, self._channels, wire.SAMPLE_US, self._boot, 1, 2, 0)
        self._follow_contacts(last_us)
        flags = self.tamper * wire.TAMPER | self.power_fail * wire.POWER_FAIL | self.converters
        if last_us >= self._status_us or flags != self._flags:
            if last_us >= self._status_us:
                self._status_us = _next(last_us, wire.STATUS_EVERY_MS)
            self._flags = flags
            self._send(last_us, wire.STATUS, flags)
            self._send(last_us, wire.OPENED, self.opened)
        self._send(last_us, wire.SAMPLES, first * wire.SAMPLE_US, n, len(volts), each=volts.T.astype("<i2").tobytes())

    def _send(self, us: int, frame: wire.Frame, *fields: int, each: bytes = b"") -> None:
        faults, random = self._faults, self._random
        data = encode(frame, self._sequence, *fields, each=each)
        self._sequence += 1
        if random.random() < faults.lost:
            return
        if random.random() < faults.damaged:
            spoilt = bytearray(data)
            spoilt[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
            data = bytes(spoilt)
        if random.random() < faults.noise:
            data = random.bytes(int(random.integers(1, 200))) + data
        due_ns = self.mono_ns_at(us) + len(data) * 10 * NS_PER_S // wire.BAUD
        due_ns += int(random.random() * faults.jitter_ms * NS_PER_MS)
        self._queue.append((max(due_ns, self._queue[-1][0] if self._queue else 0), data))

    def receive(self, data: bytes, now_ns: int) -> None:
        """Handles bytes from linetap."""
        self._measure_until(now_ns)
        for code, _, payload in self._frames.feed(data):
            frame = _HEARD.get(code)
            if frame is None or len(payload) < frame.size:
                continue
            us = self.us_at(now_ns + int(self._random.random() * self._faults.deaf_ms * NS_PER_MS))
            fields = frame.head.unpack_from(payload)
            if frame is wire.BEAT:
                self.beats += 1
                self._beat_us = us
                self._send(us, wire.BEATEN, *fields, us)
            elif frame is wire.LIGHTS and len(payload) > fields[0]:
                self.lights = list(payload[1 : 1 + fields[0]])
            elif frame is wire.LIMITS:
                self.limits = self._lines.set_limits(payload) or self.limits
            elif frame is wire.RELAYS:
                self._relays, expiry_ms = fields
                self._relays_until_us = us + min(expiry_ms, wire.RELAY_EXPIRY_MS) * 1000
            elif frame is wire.CONTACTS:
                self._asked, expiry_ms = fields
                self._asked_until_us = us + min(expiry_ms, wire.CONTACT_EXPIRY_MS) * 1000


def _next(now_us: int, every_ms: int) -> int:
    """The next whole multiple of `every_ms`."""
    return (now_us // (every_ms * 1000) + 1) * every_ms * 1000


class Measures(Protocol):
    """A meter of any kind: accepts bytes, and returns the bytes sent up to a time of CLOCK_MONOTONIC."""

    def receive(self, data: bytes, now_ns: int) -> None: ...
    def sent_until(self, now_ns: int) -> bytes: ...


class MeterOnPty[M: Measures]:
    """A meter behind `port`, a link to the terminal that replaces its serial adapter."""

    def __init__(self, meter: M, port: Path, clock: Clock = SYSTEM) -> None:
        self.meter = meter
        self._port = port
        self._clock = clock
        self._ends: tuple[int, int] | None = None
        self.plug()

    def plug(self) -> None:
        if self._ends is not None:
            return
        ours, theirs = os.openpty()
        tty.setraw(theirs)  # kept open, so that linetap may disconnect and reconnect
        os.set_blocking(ours, False)
        self._ends = ours, theirs
        fresh = self._port.with_name(f".{self._port.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(theirs))
        fresh.replace(self._port)

    def unplug(self) -> None:
        if self._ends is None:
            return
        self._port.unlink(missing_ok=True)
        for end in self._ends:
            os.close(end)
        self._ends = None

    def turn(self, wait_s: float = 0.0) -> None:
        """Reads input and sends output that is due. Unread output is lost, as on a wire."""
        if self._ends is None:
            self.meter.sent_until(self._clock.monotonic_ns())
            return
        ours = self._ends[0]
        if not waiting(ours):  # a poll might wait for a kernel worker: see linetap.board.meter.port
            SYSTEM.sleep(wait_s)
        if waiting(ours):
            with contextlib.suppress(OSError):
                self.meter.receive(os.read(ours, 4096), self._clock.monotonic_ns())
        data = self.meter.sent_until(self._clock.monotonic_ns())
        if data:
            with contextlib.suppress(BlockingIOError):
                os.write(ours, data)

    def close(self) -> None:
        self.unplug()


def waiting(terminal: int) -> int:
    """The number of bytes that can be read at once; 0 if the other end is gone."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))
    except OSError:
        return 0
    return int(count)
