# SPDX-License-Identifier: Apache-2.0
"""A card's series contacts, commanded through its meter: open only while the command is repeated."""

from __future__ import annotations

from collections.abc import Sequence

from linetap.board.meter import protocol as wire
from linetap.board.meter.reader import Reader
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import DeviceFault


class MeterContacts:
    """Rows are lines, each on the meter's channel `channels[row]` (from 0); `numbers` are the lines'."""

    def __init__(self, reader: Reader, channels: Sequence[int], numbers: Sequence[int], clock: Clock) -> None:
        self._reader = reader
        self._bits = [1 << channel for channel in channels]
        self._numbers = numbers
        self._clock = clock
        self.wanted = 0  # mask of the channels to be held open
        self._due_ns = self._heard_ns = 0
        self._reported: int | None = None

    def contact(self, index: int, opened: bool) -> None:
        """DeviceFault `no_contacts` while the meter is silent, or if it is one that knows no contacts."""
        if opened and not self._reader.state.connected:
            raise DeviceFault("no_contacts", "the line meter does not answer")
        if opened and not self._reader.state.contacts:
            raise DeviceFault("no_contacts", "the line meter's program knows no series contacts; it is an earlier one")
        self._heard_ns = self._clock.monotonic_ns()
        self.wanted = self.wanted | self._bits[index] if opened else self.wanted & ~self._bits[index]
        self._send()

    def follow(self) -> None:
        """Called once a period: keeps the requested ones open, but none once the meter has closed them itself."""
        self._report()
        if not self.wanted:
            return
        now_ns = self._clock.monotonic_ns()
        if self._reader.state.connected:
            self._heard_ns = now_ns
        if now_ns - self._heard_ns > wire.CONTACT_EXPIRY_MS * NS_PER_MS:
            self.close()
        elif now_ns >= self._due_ns:
            self._send()

    def _report(self) -> None:
        if self._reader.opened != self._reported:
            self._reported = self._reader.opened
            held = self._reported or 0
            state = self._reader.state
            state.contacts = self._reported is not None
            state.opened = [number for number, bit in zip(self._numbers, self._bits, strict=True) if held & bit]

    def _send(self) -> None:
        self._due_ns = self._clock.monotonic_ns() + wire.BEAT_EVERY_MS * NS_PER_MS
        self._reader.send(wire.CONTACTS, self.wanted, wire.CONTACT_EXPIRY_MS if self.wanted else 0)

    def close(self) -> None:
        self.wanted = 0
        self._send()
