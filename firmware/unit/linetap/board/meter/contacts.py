# SPDX-License-Identifier: Apache-2.0
"""A card's series contacts, commanded through its meter: open only while the command is repeated.

A fall of a line's voltage for some milliseconds shows that its contact has closed on a telephone on its cradle: the
bell's capacitor, which the lifted handset had discharged, is charged again. By the simulation of the drawing (row
`contact_closes` of hardware/simulation) the voltage falls by 1.2 to 3.9 V, and not at all if the contact stays open. A
fall proves that the contact has closed. The lack of a fall proves nothing: a telephone may keep its capacitor charged,
and no real telephone has been measured.

The meter, and the card itself, bound an opening by a one-shot: a contact is open while it is commanded, for at most
CONTACT_MOST_MS; after any opening it opens again only after CONTACT_REST_MS without a command. The same rules are in
hardware/meter/contacts.c, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import CONTACT_MOST_MS, CONTACT_REST_MS
from linetap.board.meter.reader import Reader
from linetap.ring import I16
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import DeviceFault

BEFORE_MS, AFTER_MS = 60, 300  # before and after the command to close, which the card follows within 100 ms
SINKS_BY, SINKS_MS = 60, 3  # hundredths of a volt; consecutive milliseconds
QUIET = 30  # hundredths of a volt: the line varies less before and at the end; under hum and ringing there is no proof


def charges(volts: I16) -> bool:
    """Whether the voltage falls. `volts`: (BEFORE_MS + AFTER_MS,), 0.01 V, around the command to close."""
    size = np.abs(volts.astype(np.int32))
    before, last = size[:BEFORE_MS], size[-BEFORE_MS:]
    idle = int(np.median(before))
    if np.abs(before - idle).max() > QUIET or np.abs(last - idle).max() > QUIET:
        return False
    sunk = np.convolve(size[BEFORE_MS:] <= idle - SINKS_BY, np.ones(SINKS_MS, np.int32))
    return bool(sunk.max() >= SINKS_MS)


ARRIVED_MS = 100  # time until the last sample has arrived


class MeterContacts:
    """The contacts. Rows are lines, each on the meter's channel `channels[row]` (from 0); `numbers`: line numbers."""

    def __init__(self, reader: Reader, channels: Sequence[int], numbers: Sequence[int], clock: Clock) -> None:
        self._reader = reader
        self._bits = [1 << channel for channel in channels]
        self._numbers = numbers
        self._clock = clock
        self.wanted = 0  # mask of the channels to be held open
        self._due_ns = self._heard_ns = 0
        self._closing_ns: dict[int, int] = {}  # rows that were commanded to close, and the times
        self._reported: int | None = None

    def contact(self, index: int, opened: bool) -> None:
        """Opens or closes a contact. DeviceFault `no_contacts` while the meter is silent, or if it has no contacts."""
        if opened and not self._reader.state.connected:
            raise DeviceFault("no_contacts", "the line meter does not answer")
        if opened and not self._reader.state.contacts:
            raise DeviceFault("no_contacts", "the line meter's program knows no series contacts; it is an earlier one")
        self._heard_ns = self._clock.monotonic_ns()
        if opened:
            self._reader.state.charged = [each for each in self._reader.state.charged if each != self._numbers[index]]
        elif self.wanted & self._bits[index]:
            self._closing_ns[index] = self._heard_ns
        self.wanted = self.wanted | self._bits[index] if opened else self.wanted & ~self._bits[index]
        self._send()

    def follow(self) -> None:
        """Keeps requested contacts open, once a period, except those that the meter has closed itself."""
        self._report()
        now_ns = self._clock.monotonic_ns()
        self._check_closed_contacts(now_ns)
        if not self.wanted:
            return
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

    def _check_closed_contacts(self, now_ns: int) -> None:
        for row, closed_ns in list(self._closing_ns.items()):
            if now_ns - closed_ns < (AFTER_MS + ARRIVED_MS) * NS_PER_MS:
                continue
            del self._closing_ns[row]
            volts = self._reader.volts(row, closed_ns - BEFORE_MS * NS_PER_MS, BEFORE_MS + AFTER_MS)
            if volts is not None and charges(volts):
                state = self._reader.state
                state.charged = sorted({*state.charged, self._numbers[row]})

    def _send(self) -> None:
        self._due_ns = self._clock.monotonic_ns() + wire.BEAT_EVERY_MS * NS_PER_MS
        self._reader.send(wire.CONTACTS, self.wanted, wire.CONTACT_EXPIRY_MS if self.wanted else 0)

    def close(self) -> None:
        self.wanted = 0
        self._send()


Contacts = npt.NDArray[np.bool_]  # (lines,)


class OneShots:
    """The one-shots. At first all are closed, at rest since `now_ns`: after a restart no opening continues."""

    def __init__(self, lines: int, now_ns: int) -> None:
        self._opened = np.zeros(lines, np.bool_)
        self._spent = np.ones(lines, np.bool_)  # the contact was open, or the meter has just started
        self._since_ns = np.full(lines, now_ns, np.int64)  # time of its opening, or of the last command

    @property
    def at_rest(self) -> bool:
        """Whether all are closed, and would open at a command."""
        return not (self._opened.any() or self._spent.any())

    def look(self, asked: Contacts, now_ns: int) -> Contacts:
        """Returns the open contacts, bool (lines,). `asked`: contacts with a command to open at `now_ns`."""
        if self.at_rest and not asked.any():
            return self._opened.copy()  # the usual case: no command for long
        lasted_ns = now_ns - self._since_ns
        closes = self._opened & (~asked | (lasted_ns >= CONTACT_MOST_MS * NS_PER_MS))
        opens = ~self._opened & ~self._spent & asked
        rested = ~self._opened & ~asked & (lasted_ns >= CONTACT_REST_MS * NS_PER_MS)
        self._since_ns[closes | opens | (~self._opened & asked)] = now_ns
        self._spent = (self._spent & ~rested) | closes
        self._opened = (self._opened & ~closes) | opens
        return self._opened.copy()
