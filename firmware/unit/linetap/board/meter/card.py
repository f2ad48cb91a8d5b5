# SPDX-License-Identifier: Apache-2.0
"""A card with a line meter: the meter decides, the HOOK pins are the second opinion and the fallback."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from linetap.board.interface import PERIOD_MS, CardBoard, Levels
from linetap.board.meter import protocol as wire
from linetap.board.meter.contacts import MeterContacts
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LearnedLimits
from linetap.board.meter.port import SerialPort
from linetap.board.meter.protocol import MOST_CHANNELS
from linetap.board.meter.reader import Reader
from linetap.config import profile_of
from linetap.config.schema import Config, Line
from linetap.ring import NO_VOLTS
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import BadInput, DeviceFault
from linetap_core.records import MeterState

DISAGREES_MS = 1000  # an edge passes a pin's filter up to 58 ms late; a lasting difference is a fault of either
ARRIVES_MS = 12  # a frame's 5 ms, 4 ms on the line where all of it is escaped, 3 ms for USB and waking up


class MeteredCard:
    """Rows in the order of `Config.lines_of(card)`."""

    def __init__(
        self, pins: CardBoard, reader: Reader, lines: Sequence[Line], learned: LearnedLimits, contacts: MeterContacts
    ) -> None:
        self._pins = pins
        self._contacts = contacts
        self._learned = learned
        self._reader = reader
        self._numbers = np.array([line.number for line in lines])
        self._limits = learned.limits
        self._differ_ms = np.zeros(len(lines), np.int32)
        self.behind_ms = reader.delay_ms + ARRIVES_MS

    @property
    def meter(self) -> MeterState:
        return self._reader.state

    def levels(self, until_ns: int) -> Levels:
        if self._limits is not self._learned.limits:
            self._limits = self._learned.limits
            self._reader.set_limits(self._limits)
        seen = self._pins.levels(until_ns)
        found = self._reader.levels(until_ns)
        self._contacts.follow()
        if found is None:
            if self._differ_ms.any():
                self._differ_ms[:] = 0
                self.meter.disagreeing = []
            return seen
        self._compare(seen, found)
        return found

    def _compare(self, seen: Levels, found: Levels) -> None:
        """Compares only where a pin can know: an open wire reads as off-hook there, and so may a 24 V PBX."""
        differ = seen.hook[:, -1] != found.hook[:, -1]
        if not differ.any() and not self._differ_ms.any():
            return
        differ &= self._limits.pin_sees & (np.abs(found.volts) >= self._limits.no_line[:, 0])
        self._differ_ms = np.where(differ, self._differ_ms + PERIOD_MS, 0)
        self.meter.disagreeing = [int(n) for n in self._numbers[self._differ_ms > DISAGREES_MS]]

    def relay(self, index: int, closed: bool) -> None:
        self._pins.relay(index, closed)

    def contact(self, index: int, opened: bool) -> None:
        self._contacts.contact(index, opened)

    def lights(self, leds: Sequence[int]) -> None:
        """The line LEDs, one a line, as indexes into protocol.LEDS."""
        self._reader.lights(leds)

    def close(self) -> None:
        self._learned.stop()
        with contextlib.closing(self._reader), contextlib.closing(self._contacts):
            self._pins.close()


class MeterRelays:
    """For a card on USB, which has no pins: no second opinion, and relays that the meter closes.

    A closed relay is requested again every few periods, since the meter opens it when requests stop.
    """

    behind_ms = 0
    meter: MeterState | None = None

    def __init__(self, reader: Reader, channels: Sequence[int], clock: Clock) -> None:
        self._reader = reader
        self._bits = [1 << channel for channel in channels]
        self._clock = clock
        self._closed = 0
        self._due_ns = 0
        lines = len(channels)
        none = np.zeros((lines, PERIOD_MS), np.bool_)
        self._nothing = Levels(none, none, none, np.full(lines, NO_VOLTS, np.int16))

    def levels(self, _until_ns: int) -> Levels:
        """Returns no levels. Called once a period, it keeps the requested relays closed."""
        if self._closed and self._clock.monotonic_ns() >= self._due_ns:
            self._send_relays()
        return self._nothing

    def relay(self, index: int, closed: bool) -> None:
        self._closed = self._closed | self._bits[index] if closed else self._closed & ~self._bits[index]
        self._send_relays()

    def contact(self, index: int, opened: bool) -> None:
        """MeteredCard has them by MeterContacts."""
        raise DeviceFault("no_contacts", f"row {index} cannot be {'opened' if opened else 'closed'} without its meter")

    def _send_relays(self) -> None:
        self._due_ns = self._clock.monotonic_ns() + wire.BEAT_EVERY_MS * NS_PER_MS
        self._reader.send(wire.RELAYS, self._closed, wire.RELAY_EXPIRY_MS if self._closed else 0)

    def close(self) -> None:
        self._closed = 0
        self._send_relays()


# --- Opening ----------------------------------------------------------------------------------------------------------


def open_metered(config: Config, card: int, pins: CardBoard | None, clock: Clock) -> MeteredCard:
    """`pins`: the card's own, or None if it has none; then the meter closes the relays too.

    The meter may be absent, appear and disappear. BadInput for a line on a channel that no meter has.
    """
    port, lines = config.card_number(card).meter_port, config.lines_of(card)
    assert port is not None
    channels = [line.channel - 1 for line in lines]
    for line in lines:
        if line.channel > MOST_CHANNELS:
            raise BadInput(f"line {line.number} is on channel {line.channel}; a line meter has {MOST_CHANNELS}")
    learned = LearnedLimits(config, card)
    numbers = [profile_of(config, line.profile).meter for line in lines]
    reader = Reader(SerialPort(port), channels, Decider(learned.limits, numbers), clock)
    learned.start()
    contacts = MeterContacts(reader, channels, [line.number for line in lines], clock)
    return MeteredCard(pins or MeterRelays(reader, channels, clock), reader, lines, learned, contacts)
