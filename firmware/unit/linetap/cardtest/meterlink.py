# SPDX-License-Identifier: Apache-2.0
"""The meter's port on a bench: samples by their number, and commands that are repeated while they are wanted.

Unlike capture's reader, it decides no levels, and time is the meter's own, a sample a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import Deframer, encode
from linetap.board.meter.reader import Port
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.errors import DeviceFault

TURN_S = 0.004
SILENT_NS = 2 * NS_PER_S
Volts = npt.NDArray[np.float64]


class MeterLink:
    """The link. `relays` and `contacts`: masks that are commanded repeatedly; `opened`: the contacts that the meter
    reports open, as (number of a sample, mask) of each change.
    """

    def __init__(self, port: Port, clock: Clock) -> None:
        self._port, self._clock = port, clock
        self._frames = Deframer()
        self._sent, self._beat_ns, self._sequence = 0, 0, -1
        self._kept: list[tuple[int, npt.NDArray[np.int16]]] = []
        self._heard_ns = clock.monotonic_ns()
        self._mask: int | None = None
        self.relays = self.contacts = 0
        self.hello: tuple[int, ...] | None = None
        self.flags = 0
        self.lost = 0
        self.next = 0  # number of the next sample
        self.opened: list[tuple[int, int]] = []

    def wait_for_hello(self) -> tuple[int, ...]:
        """Returns version, channels, us a sample, boot, and the firmware's three numbers."""
        until_ns = self._clock.monotonic_ns() + SILENT_NS
        while self.hello is None:
            self.turn()
            if self._clock.monotonic_ns() > until_ns:
                raise DeviceFault("meter_silent", "the meter says no hello: is it programmed, and the port its own?")
        return self.hello

    def record(self, ms: int) -> Volts:
        """Returns the next `ms` samples, (lines, ms). DeviceFault if samples are missing among them."""
        first = self.next
        self._kept.clear()
        while self.next < first + ms:
            self.turn()
        rows = [volts for at, volts in self._kept if at >= first]
        joined = np.concatenate(rows)[:ms] if rows else np.empty((0, 0))
        if len(joined) < ms:
            raise DeviceFault("meter_lossy", f"{ms - len(joined)} of {ms} samples did not arrive")
        volts: Volts = joined.T / 100
        return volts

    def serve_while(self, busy: Callable[[], bool]) -> None:
        """Repeats commands and reads samples while `busy` returns True."""
        while busy():
            self.turn()

    def turn(self) -> None:
        """Reads received frames and repeats commands that are due. DeviceFault after two seconds of silence."""
        now_ns = self._clock.monotonic_ns()
        if self._port.ready(now_ns):
            for code, sequence, payload in self._frames.feed(self._port.read()):
                self._heard_ns = now_ns
                self.lost += (sequence - self._sequence - 1) & 0xFFFF if self._sequence >= 0 else 0
                self._sequence = sequence
                self._handle_frame(code, payload)
            if now_ns - self._beat_ns >= wire.BEAT_EVERY_MS * NS_PER_MS:
                self._beat_ns = now_ns
                self._send(wire.BEAT, now_ns)
                self.command()
        if now_ns - self._heard_ns > SILENT_NS:
            raise DeviceFault("meter_silent", "nothing from the meter for 2 s: cable, hub, supply, its program")
        self._clock.sleep(TURN_S)

    def command(self) -> None:
        self._send(wire.RELAYS, self.relays, wire.RELAY_EXPIRY_MS if self.relays else 0)
        self._send(wire.CONTACTS, self.contacts, wire.CONTACT_EXPIRY_MS if self.contacts else 0)

    def _send(self, frame: wire.Frame, *fields: int) -> None:
        self._port.write(encode(frame, self._sent, *fields))
        self._sent += 1

    def _handle_frame(self, code: int, payload: bytes) -> None:
        frame = next((each for each in wire.FRAMES if each.code == code and each.sender == "meter"), None)
        if frame is None or len(payload) < frame.size:
            return
        fields = frame.head.unpack_from(payload)
        if frame is wire.HELLO:
            self.hello = fields
        elif frame is wire.STATUS:
            self.flags = fields[0]
        elif frame is wire.OPENED and fields[0] != self._mask:
            self._mask = fields[0]
            self.opened.append((self.next + wire.SAMPLES_A_FRAME, fields[0]))
        elif frame is wire.SAMPLES:
            self._samples(payload, *fields)

    def _samples(self, payload: bytes, at_us: int, samples: int, channels: int) -> None:
        if channels != wire.MOST_CHANNELS or len(payload) != wire.SAMPLES.size + 2 * samples * channels:
            raise DeviceFault("meter_foreign", f"samples of {channels} channels in {len(payload)} bytes; a card has 8")
        first = at_us // wire.SAMPLE_US
        self._kept.append((first, np.frombuffer(payload, "<i2", offset=wire.SAMPLES.size).reshape(samples, channels)))
        self.next = first + samples
