# SPDX-License-Identifier: Apache-2.0
"""The meter's frames, in both directions. `poll` does all work; it is called when capture needs levels.

A meter that sends only invalid frames counts as silent: invalid input is counted or dropped, and raises no exception.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from linetap.board.interface import Levels
from linetap.board.meter import protocol as wire
from linetap.board.meter.clockmap import ClockMap
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LimitArrays
from linetap.board.meter.protocol import Deframer, encode
from linetap.board.meter.store import MOST_AT_ONCE, Store
from linetap.ring import I16
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.records import MeterState

SILENT_MS = 100  # after this time without samples, levels come from sound
GONE_MS = 2000  # after this time without any frame, the port is reopened
ECHO_MAX_MS = 2000  # a beat that returns later belongs to another sequence
BEHIND_MAX_MS = 1500  # older levels are discarded
BACK_MAX_MS = 1000  # samples older than the last by this time: the meter restarted, and its hello was lost

_LOOP_EDGES = (wire.EDGES.index("hook"), wire.EDGES.index("pulse"))

log = logging.getLogger("linetap.meter")


class Port(Protocol):
    def ready(self, now_ns: int) -> bool: ...
    def read(self) -> bytes: ...
    def write(self, data: bytes) -> None: ...
    def lose(self, why: str) -> None: ...
    def close(self) -> None: ...


class Reader:
    """The reader. Rows are the card's lines, each on the meter's channel `channels[row]` (from 0). `state`: current."""

    def __init__(self, port: Port, channels: Sequence[int], decider: Decider, clock: Clock) -> None:
        self._port = port
        self._channels = list(channels)
        self._rows = {channel: row for row, channel in enumerate(channels)}
        self._decider = decider
        self._clock = clock
        self._frames = Deframer()
        self._map = ClockMap()
        self._store = Store(decider)
        self._gathered: list[tuple[int, npt.NDArray[np.int16]]] = []
        self._boot: int | None = None
        self._sequence: int | None = None
        self._sent = 0
        self._beat_ns, self._received_ns = 0, clock.monotonic_ns()
        self._foreign = False
        self.state = MeterState(connected=False)
        self.opened: int | None = None  # channels whose series contact is open; None: not reported by this meter
        self._handlers = {
            wire.HELLO.code: (wire.HELLO, self._hello),
            wire.SAMPLES.code: (wire.SAMPLES, self._samples),
            wire.EDGE.code: (wire.EDGE, self._edge),
            wire.STATUS.code: (wire.STATUS, self._status),
            wire.BEATEN.code: (wire.BEATEN, self._handle_beat),
            wire.OPENED.code: (wire.OPENED, self._opened),
        }

    @property
    def delay_ms(self) -> int:
        return self._decider.delay_ms

    @property
    def noise(self) -> int:
        """The number of invalid frames."""
        return self._frames.noise

    @property
    def drift_ppm(self) -> float:
        return self._map.drift * 1e6

    def levels(self, until_ns: int) -> Levels | None:
        """Returns the ten milliseconds before `until_ns`; None while the meter is silent, or its clock unknown."""
        if (last := self._last(until_ns)) is None or (end := self._store.end) is None or last >= end:
            self.poll()
            last, end = self._last(until_ns), self._store.end
        if last is None or end is None or not -BEHIND_MAX_MS < last - end < SILENT_MS:
            self.state.connected = False
            return None
        found = self._store.levels(last)
        self.state.connected = found is not None
        return found

    def volts(self, row: int, from_ns: int, ms: int) -> I16 | None:
        """Returns the line's samples of `ms` milliseconds, int16 (ms,), 0.01 V; None if any is missing."""
        if not self._map.known:
            return None
        first = self._map.meter_us(from_ns) // wire.SAMPLE_US
        found = self._store.volts(first, first + ms)
        return None if found is None else found[row]

    def _last(self, until_ns: int) -> int | None:
        """Returns the number of the sample before `until_ns`; None: the meter's clock is unknown."""
        return (self._map.meter_us(until_ns) - 1) // wire.SAMPLE_US if self._map.known else None

    def poll(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if not self._port.ready(now_ns):
            self._received_ns = now_ns
            self._frames.forget()
            return
        if now_ns - self._beat_ns >= wire.BEAT_EVERY_MS * NS_PER_MS:
            self._beat_ns = now_ns
            self.send(wire.BEAT, self._clock.monotonic_ns())
        found = self._frames.feed(self._port.read())
        for code, sequence, payload in found:
            if code in self._handlers:
                frame, handler = self._handlers[code]
                if len(payload) >= frame.size:
                    handler(payload, frame.head.unpack_from(payload))
            self._count(sequence)  # a hello's handler may have started a new count
        self._decide()
        if found:
            self._received_ns = now_ns
        elif now_ns - self._received_ns > GONE_MS * NS_PER_MS:
            self._received_ns = now_ns
            self._port.lose(f"nothing for {GONE_MS / 1000:g} s")

    def send(self, frame: wire.Frame, *fields: int, each: bytes = b"") -> None:
        self._port.write(encode(frame, self._sent, *fields, each=each))
        self._sent += 1

    def lights(self, leds: Sequence[int]) -> None:
        """Sets the line LEDs, indexes into protocol.LEDS, one a row."""
        each = bytearray(max(self._channels) + 1)
        for channel, led in zip(self._channels, leds, strict=True):
            each[channel] = led
        self.send(wire.LIGHTS, len(each), each=bytes(each))

    def close(self) -> None:
        self._port.close()

    def _count(self, sequence: int) -> None:
        if self._sequence is not None:
            lost = (sequence - self._sequence - 1) & 0xFFFF
            if lost < 0x8000:  # else it is an older frame, or the meter restarted
                self.state.frames_lost += lost
        self._sequence = sequence

    def _hello(self, _payload: bytes, fields: tuple[int, ...]) -> None:
        version, channels, sample_us, boot = fields[:4]
        foreign = version != wire.VERSION or sample_us != wire.SAMPLE_US or channels <= max(self._channels)
        if foreign and not self._foreign:
            log.error(
                "meter_foreign: version %d, %d channels, %d us a sample; want version %d, %d channels, %d us",
                version, channels, sample_us, wire.VERSION, max(self._channels) + 1, wire.SAMPLE_US,
            )  # fmt: skip
        self._foreign = foreign
        if boot == self._boot:
            return
        if self._boot is not None:
            self._restarted()
        self._boot = boot
        self._send_limits()

    def _restarted(self) -> None:
        """Discards all earlier samples: the meter has restarted its count."""
        self.state.restarts += 1
        log.warning("meter_restarted: %d times now", self.state.restarts)
        self._boot = None  # the next hello identifies the meter and is no second restart
        self.opened = None
        self._map.forget()
        self._store.forget()
        self._gathered.clear()
        self._sequence = None
        self._beat_ns = 0

    def set_limits(self, limits: LimitArrays) -> None:
        """Sets newly learned limits of the lines."""
        self._decider.limits = limits
        self._send_limits()

    def _send_limits(self) -> None:
        pairs = np.zeros((2, max(self._channels) + 1, 2), "<u2")
        for channel, line in zip(self._channels, self._decider.limits.lines, strict=True):
            volts = ((line.off_below_v, line.on_above_v), (line.fall_v, line.no_line_v))
            pairs[:, channel] = np.round(np.array(volts) * 100)
        self.send(wire.LIMITS, pairs.shape[1], each=pairs.tobytes())

    def _samples(self, payload: bytes, fields: tuple[int, ...]) -> None:
        at_us, samples, channels = fields
        fits = len(payload) == wire.SAMPLES.size + 2 * samples * channels and 0 < samples <= wire.MOST_SAMPLES
        if not fits or self._foreign or channels <= max(self._channels):
            return
        volts = np.frombuffer(payload, "<i2", offset=wire.SAMPLES.size).reshape(samples, channels)
        self._gathered.append((at_us // wire.SAMPLE_US, volts))

    def _decide(self) -> None:
        """Processes gathered frames at once, since numpy's cost is per call, but no more than fit into the store."""
        while self._gathered:
            first, volts = self._gathered[0]
            run, end, shape = [volts], first + len(volts), volts.shape[1]
            for at, more in self._gathered[1:]:
                if at != end or more.shape[1] != shape or end - first >= MOST_AT_ONCE:
                    break
                run.append(more)
                end += len(more)
            del self._gathered[: len(run)]
            joined = np.concatenate(run)[:, self._channels].T
            if not self._store.add(first, np.ascontiguousarray(joined, np.int16)):
                self._from_before(first)

    def _from_before(self, first: int) -> None:
        """Handles an older sample: a stray one, or the sample of a restarted meter after a lost hello."""
        end = self._store.end
        if end is not None and end - first > BACK_MAX_MS:
            self._restarted()

    def _edge(self, _payload: bytes, fields: tuple[int, ...]) -> None:
        at_us, channel, edge, level = fields
        if edge in _LOOP_EDGES and channel in self._rows:
            self._store.edge(at_us // wire.SAMPLE_US, self._rows[channel], bool(level))

    def _status(self, _payload: bytes, fields: tuple[int, ...]) -> None:
        self.state.tamper = bool(fields[0] & wire.TAMPER)
        self.state.power_fail = bool(fields[0] & wire.POWER_FAIL)
        flags = (wire.CONVERTER_1, wire.CONVERTER_2)
        self.state.unset = [number for number, flag in enumerate(flags, 1) if fields[0] & flag]

    def _opened(self, _payload: bytes, fields: tuple[int, ...]) -> None:
        self.opened = fields[0]

    def _handle_beat(self, _payload: bytes, fields: tuple[int, ...]) -> None:
        stamp, at_us = fields
        now_ns = self._clock.monotonic_ns()
        if not 0 <= now_ns - stamp < ECHO_MAX_MS * NS_PER_MS or at_us >= 1 << 62:
            return
        if not self._map.add_beat(stamp, at_us):
            self._restarted()
