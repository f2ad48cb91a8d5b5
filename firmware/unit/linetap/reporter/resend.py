# SPDX-License-Identifier: Apache-2.0
"""Which events go out once more: those the desk asks for, and the first of those it has not confirmed for long.

A broker takes an event and may lose it; the desk may have been away, or come back with another broker. So where the
unit's roles name a desk, its confirmation alone ends an event's journey.
"""

from __future__ import annotations

from linetap.reporter.source import Entry, Source
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.records import DeliveryState

PATIENCE_S = 60  # without a confirmation of what a broker has; doubled while there is none
LONGEST_S = 900
PROBE = 100  # so many go out then: a desk that is there asks for the rest, and one that is not is not flooded


class Again:
    def __init__(self, outbox: Source, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        """`outbox`: a reader of its own, whose place no other moves."""
        self._outbox, self._clock = outbox, clock
        self._first_ns = self._wait_ns = round(patience_s * NS_PER_S)
        self._moved_ns = clock.monotonic_ns()
        self._resend = 0
        self._next = self._last = 0
        self.confirmed: int | None = None  # None: nobody is named who could

    def hear(self, delivery: DeliveryState, taken: int) -> None:
        """What the recorder says, often. `taken`: everything up to it a broker has acknowledged."""
        if not delivery.desk:
            self.confirmed = None
            return
        now_ns = self._clock.monotonic_ns()
        if delivery.confirmed != self.confirmed or taken <= delivery.confirmed:
            self.confirmed, self._moved_ns, self._wait_ns = delivery.confirmed, now_ns, self._first_ns
        if delivery.resend != self._resend:
            self._resend = delivery.resend
            self._begin(delivery.resend_from, min(delivery.resend_to, taken), now_ns)
        elif not self._under_way and now_ns - self._moved_ns >= self._wait_ns:
            self._wait_ns = min(2 * self._wait_ns, LONGEST_S * NS_PER_S)
            self._begin(delivery.confirmed + 1, min(delivery.confirmed + PROBE, taken), now_ns)

    def entries(self, most: int) -> list[Entry]:
        """The next of them, at most so many; each is told once."""
        if not self._under_way:
            return []
        found = [entry for entry in self._outbox.from_seq(self._next, most) if entry[0] <= self._last]
        self._next = found[-1][0] + 1 if found else self._last + 1  # what is not there any more is passed
        return found

    def lost_connection(self) -> None:
        """What was under way may be lost: it is asked for again, or missed in silence."""
        self._next = self._last = 0
        self._moved_ns = self._clock.monotonic_ns()

    @property
    def _under_way(self) -> bool:
        return 0 < self._next <= self._last

    def _begin(self, first: int, last: int, now_ns: int) -> None:
        self._next, self._last, self._moved_ns = first, last, now_ns
