# SPDX-License-Identifier: Apache-2.0
"""The series contacts of one card: opened to end a call, closed again by time, and checked by the line's own level.

The meter and the card bound an opening too. While a contact is open, the line has idle voltage in any state of the
telephone. If the loop stays closed, the contact did not open. A contact that did not close again looks like a handset
on its cradle. It is suspected when the line rings and nobody lifts, or while the meter still reports it open, unless
the handset was lifted since, or its bell was charged when the contact closed (board/meter/contacts.py).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from linetap.board.interface import PERIOD_MS, CardBoard, Levels
from linetap.board.meter.protocol import CONTACT_REST_MS
from linetap.capture.player import Player
from linetap.config.schema import Card, Line
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import DeviceFault
from linetap_core.records import LEAST_OPEN_MS, MOST_OPEN_MS, CaptureState

RING_OVER_MS = 8000  # after this time without a burst, the handset was not lifted
REPORTED_MS = 1000  # a contact that the meter reports open this long after its end is stuck

log = logging.getLogger("linetap.capture")


@dataclass(slots=True)
class _Contact:
    row: int
    closes_ns: int | None = None  # None: closed
    closed_ns: int | None = None  # time of closing; None: it was never open
    up: bool = False  # the loop is closed
    was_up: bool = False  # the loop was closed when the contact opened
    idle: bool = True  # the loop was open at some time since the contact opened
    proven: bool = True  # the loop was closed again since the contact closed
    rang: bool = False  # the line has rung since the contact closed
    quiet_ms: int = 0
    suspected: bool = False


class Contacts:
    def __init__(
        self, card: Card, lines: list[Line], board: CardBoard, player: Player, clock: Clock, state: CaptureState
    ) -> None:
        self._card = card
        self._staff = {line.number for line in lines if line.release == "staff"}
        self._board, self._player, self._clock, self._state = board, player, clock, state
        self._contacts = {line.number: _Contact(row) for row, line in enumerate(lines) if not line.exempt}

    def restore(self, before: CaptureState | None) -> None:
        """Restores the state of the previous capture: a restart does not clear a stuck contact."""
        if before is None or not self._card.contacts:
            return
        self._state.contact_stuck = [
            line for line in before.contact_stuck if line in self._contacts and line not in self._staff
        ]
        for line in {*before.opened, *before.contact_open} & self._contacts.keys():
            contact = self._contacts[line]
            contact.proven, contact.suspected = False, line in before.contact_open

    def open(self, line: int, ms: int) -> str | None:
        """Opens the contact for `ms`, within LEAST_OPEN_MS and MOST_OPEN_MS; returns why it was refused, or None."""
        contact = self._contacts.get(line)
        if contact is None:
            return f"line {line} is no line of this card, or is exempt"
        if not self._card.contacts:
            return f"card {self._card.number} has no series contacts"
        if line in self._staff:
            return f'line {line} has release = "staff": its loop is never opened'
        if contact.closes_ns is not None:
            return None
        now_ns = self._clock.monotonic_ns()
        if contact.closed_ns is not None and now_ns < contact.closed_ns + CONTACT_REST_MS * NS_PER_MS:
            return f"the contact of line {line} was open a moment ago"
        if self._player.has(line):
            return f"line {line} has a notice that is not over"
        try:
            self._board.contact(contact.row, True)
        except DeviceFault as fault:
            return f"card {self._card.number}: {fault}"
        contact.closes_ns = now_ns + min(max(ms, LEAST_OPEN_MS), MOST_OPEN_MS) * NS_PER_MS
        contact.was_up, contact.idle, contact.proven, contact.rang = contact.up, False, False, False
        log.info("contact_opened: line %d", line)
        return None

    def turn(self) -> None:
        """Closes due contacts. Called several times a second, with or without audio."""
        for line, contact in self._contacts.items():
            if contact.closes_ns is not None and self._clock.monotonic_ns() >= contact.closes_ns:
                self._close(line, contact)

    def _close(self, line: int, contact: _Contact) -> None:
        self._board.contact(contact.row, False)
        contact.closes_ns, contact.closed_ns = None, self._clock.monotonic_ns()
        if contact.was_up and not contact.idle:
            log.error("contact_stuck: line %d: its loop stayed closed", line)
            self._state.contact_stuck = sorted({*self._state.contact_stuck, line})
        else:
            log.info("contact_closed: line %d", line)
            self._state.contact_stuck = [each for each in self._state.contact_stuck if each != line]

    def follow(self, levels: Levels) -> None:
        """Follows the next ten milliseconds of all lines, which arrive some periods late."""
        hook, ring = levels.hook[:, -1].tolist(), levels.ring[:, -1].tolist()
        for contact in self._contacts.values():
            contact.up = hook[contact.row]
            contact.idle |= not contact.up
            if not contact.proven and contact.closes_ns is None:
                _judge(contact, ring[contact.row])

    def report(self) -> None:
        """Updates the state before it is written."""
        meter = self._board.meter
        reported = meter.opened if meter is not None else []
        for line in self._contacts.keys() & set(meter.charged if meter is not None else []):
            if self._contacts[line].closes_ns is None:
                self._contacts[line].proven, self._contacts[line].suspected = True, False
        late_ns = self._clock.monotonic_ns() - REPORTED_MS * NS_PER_MS
        self._state.opened = [line for line, contact in self._contacts.items() if contact.closes_ns is not None]
        self._state.contact_open = [
            line
            for line, contact in self._contacts.items()
            if contact.suspected
            or (line in reported and contact.closes_ns is None and (contact.closed_ns or 0) < late_ns)
        ]


def _judge(contact: _Contact, rings: bool) -> None:
    """Judges whether the contact has closed again. Late levels may still show the loop closed before the opening; they
    do not count, since the loop was not yet open since then.
    """
    contact.proven = contact.up and contact.idle
    contact.rang |= rings
    contact.quiet_ms = 0 if rings else contact.quiet_ms + PERIOD_MS
    given_up = contact.rang and contact.quiet_ms >= RING_OVER_MS
    contact.suspected = not contact.proven and (contact.suspected or given_up)
