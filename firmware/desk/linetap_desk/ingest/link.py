# SPDX-License-Identifier: Apache-2.0
"""The ingest's connection to the broker. Its session outlives a connection: a fixed client id, no clean start, an
expiry of weeks. While the database is unavailable, reports wait at the broker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from linetap_core.broker import link
from linetap_core.broker.connection import Connected, Happening, Subscribed, SubscriptionRefused, Terms
from linetap_core.broker.link import MOST_AT_ONCE, LinkEvent
from linetap_core.clock import NS_PER_MS, S_PER_DAY, Clock
from linetap_core.wire.mqtt import Broker

MOST_QUEUED = 1000  # messages in RAM that the broker has not acknowledged
LARGEST_PACKET_BYTES = 256 << 10  # the broker drops larger packets; no unit sends them
SESSION_S = 60 * S_PER_DAY  # the broker's own limit may be shorter

log = logging.getLogger("linetap.ingest")


@dataclass(frozen=True, slots=True)
class Patience(link.Patience):
    first_ms: int = 1000
    database_ms: int = 1000  # between two attempts to reach the database


class Link(link.Link):
    """The connection. A received message is acknowledged once it is stored, on the connection that delivered it."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        topics: Sequence[str],
        clock: Clock,
        patience: Patience,
        session_s: int = SESSION_S,
        sweep: bool = False,
    ) -> None:
        """BadInput for unusable certificates. `session_s` 0: the broker keeps no session. `sweep`: retained messages
        are delivered quickly (broker/connection.py), but out of order."""
        super().__init__(broker, clock, patience, log)
        self._agreed = Terms(client_id, tuple(topics), MOST_AT_ONCE, LARGEST_PACKET_BYTES, session_s, sweep=sweep)
        self._resumed = False  # whether the broker kept the session for this connection

    @property
    def has_room(self) -> bool:
        """Whether a message may be published."""
        return self.connected and len(self._waiting) + len(self._unacknowledged) < MOST_QUEUED

    def close(self) -> None:
        self._leave(self._clock.monotonic_ns() + self._patience.first_ms * NS_PER_MS)

    def follow(self, topics: Sequence[str]) -> None:
        """Subscribes to these topics from now on; changed topics need a new connection of the same session."""
        if self._agreed.topics == tuple(topics):
            return
        self._agreed = replace(self._agreed, topics=tuple(topics))
        if self.connected:
            self._give_up("the signers' file names other units")

    def _terms(self) -> Terms:
        return self._agreed

    def _unread(self, refused: SubscriptionRefused) -> None:
        """Disconnects an ingest that may not read, so that it does not appear connected."""
        self._give_up(f"may not read {refused.topic}: {refused.reason}")

    def _called(self) -> str:
        return f"as {self._agreed.client_id}"

    def _handle(self, happening: Happening) -> list[LinkEvent]:
        match happening:
            case Connected(resumed):
                self._resumed = resumed
            case Subscribed() if self._agreed.session_s:  # earlier messages may match no subscription
                kept = "resumed" if self._resumed else "new: what came while there was none is not there"
                log.info("session_%s", kept)
        return super()._handle(happening)
