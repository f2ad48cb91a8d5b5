# SPDX-License-Identifier: Apache-2.0
"""A line card by its meter: levels, notice relays, series contacts and LEDs of all its lines.

While the meter is silent, levels are unknown and no relay has current: capture then judges by sound.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.meter import protocol as wire
from linetap.board.meter.contacts import MeterContacts
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LearnedLimits
from linetap.board.meter.port import SerialPort
from linetap.board.meter.protocol import MOST_CHANNELS
from linetap.board.meter.reader import Reader
from linetap.config import profile_of
from linetap.config.schema import Config
from linetap.learned import LearnedWatch
from linetap.ring import NO_VOLTS
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import BadInput
from linetap_core.records import MeterState

ARRIVES_MS = 12  # a frame's 5 ms, 4 ms on the wire if every byte is escaped, 3 ms for USB and wake-up


class Arm(Protocol):
    """The card's arm line, independent of the meter: the relays have current while it is called."""

    def beat(self) -> None: ...
    def close(self) -> None: ...


class MeteredCard:
    """The card; rows are in the order of `Config.lines_of(card)`."""

    def __init__(
        self,
        arm: Arm,
        reader: Reader,
        channels: Sequence[int],
        learned: LearnedLimits,
        contacts: MeterContacts,
        clock: Clock,
    ) -> None:
        """`channels`: the meter's channel of each row, from 0."""
        self._arm, self._reader, self._contacts, self._clock = arm, reader, contacts, clock
        self._learned = learned
        self._limits = learned.limits
        self._bits = [1 << channel for channel in channels]
        self._closed, self._due_ns = 0, 0
        none = np.zeros((len(channels), PERIOD_MS), np.bool_)
        self._unknown = Levels(none, none, none, np.full(len(channels), NO_VOLTS, np.int16))
        self.behind_ms = reader.delay_ms + ARRIVES_MS

    @property
    def meter(self) -> MeterState:
        return self._reader.state

    def levels(self, until_ns: int) -> Levels:
        """The levels; while the meter is silent all are off, and no line has a voltage."""
        if (limits := self._learned.limits) is not self._limits:
            self._limits = limits
            self._reader.set_limits(limits)
        found = self._reader.levels(until_ns)
        self._contacts.follow()
        if self._closed and self._clock.monotonic_ns() >= self._due_ns:
            self._send_relays()  # the meter opens relays without a repeated command
        if found is None:
            return self._unknown
        self._arm.beat()
        return found

    def relay(self, index: int, closed: bool) -> None:
        self._closed = self._closed | self._bits[index] if closed else self._closed & ~self._bits[index]
        self._send_relays()

    def _send_relays(self) -> None:
        self._due_ns = self._clock.monotonic_ns() + wire.BEAT_EVERY_MS * NS_PER_MS
        self._reader.send(wire.RELAYS, self._closed, wire.RELAY_EXPIRY_MS if self._closed else 0)

    def contact(self, index: int, opened: bool) -> None:
        self._contacts.contact(index, opened)

    def lights(self, leds: Sequence[int]) -> None:
        """Sets the line LEDs, one a line, as indexes into protocol.LEDS."""
        self._reader.lights(leds)

    def close(self) -> None:
        self._closed = 0
        with contextlib.closing(self._arm), contextlib.closing(self._reader), contextlib.closing(self._contacts):
            self._send_relays()


def open_metered(config: Config, card: int, port: str, arm: Arm, watch: LearnedWatch, clock: Clock) -> MeteredCard:
    """Opens a card, whose meter may be absent, appear and disappear. BadInput for a line on an impossible channel."""
    lines = config.lines_of(card)
    channels = [line.channel - 1 for line in lines]
    for line in lines:
        if line.channel > MOST_CHANNELS:
            raise BadInput(f"line {line.number} is on channel {line.channel}; a line meter has {MOST_CHANNELS}")
    learned = LearnedLimits(config, card, watch)
    numbers = [profile_of(config, line.profile).meter for line in lines]
    reader = Reader(SerialPort(port), channels, Decider(learned.limits, numbers), clock)
    contacts = MeterContacts(reader, channels, [line.number for line in lines], clock)
    return MeteredCard(arm, reader, channels, learned, contacts, clock)
