# SPDX-License-Identifier: Apache-2.0
"""Keeps a connection to the broker: one Connection after the other, with back-off and jitter. Never blocks for long."""

from __future__ import annotations

import logging
import queue
import random
import ssl
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

from linetap_core.broker.client import tls_context
from linetap_core.broker.connection import (
    Acknowledged,
    Arrived,
    Connected,
    Connection,
    Ended,
    Happening,
    Subscribed,
    SubscriptionRefused,
    Terms,
)
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import BadInput
from linetap_core.wire.mqtt import Broker, Message


@dataclass(frozen=True, slots=True)
class Patience:
    """The pauses between attempts. The first pause doubles up to the longest; each is shortened at random, so that the
    units of a floor do not reconnect in the same second. After a connection of at least `steady_ms` the first pause
    applies again.
    """

    first_ms: int = 2000
    longest_ms: int = 30_000
    steady_ms: int = 10_000
    # limit for the connection and each acknowledgement; doubles each time, up to MOST_ANSWERS of it
    answer_ms: int = 20_000


class Backoff:
    """The time of the next attempt: `due_ns`, by the monotonic clock; the first is due at once."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._pause_ms = patience.first_ms
        self.due_ns = 0

    def ended(self, now_ns: int, stood_ns: int) -> None:
        """Sets the next attempt after a connection of `stood_ns`; 0 if there was none."""
        if stood_ns >= self._patience.steady_ms * NS_PER_MS:
            self._pause_ms = self._patience.first_ms
        self.due_ns = now_ns + round(random.uniform(0.2, 1.0) * self._pause_ms * NS_PER_MS)
        self._pause_ms = min(2 * self._pause_ms, self._patience.longest_ms)


MOST_IN_FLIGHT = 20
MOST_ANSWERS = 8
MOST_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of one publication: the token from `publish`, and the broker's reason if it refused it."""

    token: int
    refusal: str | None


LinkEvent = Connected | Subscribed | Receipt | Arrived | Ended


class Link(ABC):
    """A kept connection. The owner calls `turn()` often; `happened()` returns the events since the last call."""

    def __init__(self, broker: Broker, clock: Clock, patience: Patience, log: logging.Logger) -> None:
        """BadInput for certificates that cannot be used."""
        self._broker, self._clock, self._patience, self._log = broker, clock, patience, log
        self._at = f"{broker.host}:{broker.port}"
        self._require_files()  # reported at the start, when a person may read it
        self._backoff = Backoff(patience)
        self._happenings: queue.SimpleQueue[tuple[Connection, Happening]] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._began_ns = 0
        self._limit = MOST_IN_FLIGHT
        self._answer_ms = patience.answer_ms  # for an established connection
        self._waiting: deque[tuple[int, Message]] = deque()
        self._unacknowledged: dict[int, tuple[int, int, str]] = {}  # message id -> token, time sent, topic
        self._token = 0
        self._logged = ""
        self._leaving = self._refused = False
        self.renewing = False  # from `renew` until the next connection succeeds or fails
        self.connected = False

    def _require_files(self) -> None:
        """BadInput for certificates that cannot be used."""
        tls_context(self._broker)

    @abstractmethod
    def _terms(self) -> Terms:
        """The terms of the connection that begins now."""

    @abstractmethod
    def _unread(self, what: SubscriptionRefused) -> None:
        """Handles a topic to which the broker refuses our subscription."""

    @abstractmethod
    def _called(self) -> str:
        """The current connection's name in the log."""

    def turn(self) -> None:
        """Starts a connection when it is due, and gives up a silent one."""
        now_ns = self._clock.monotonic_ns()
        if self._connection is None:
            if now_ns >= self._backoff.due_ns:
                self._begin(now_ns)
            return
        sent_ns = next(iter(self._unacknowledged.values()))[1] if self._unacknowledged else now_ns
        waited_ns = now_ns - (sent_ns if self.connected else self._began_ns)
        patience_ms = self._answer_ms if self.connected else self._patience.answer_ms
        # After a long pause of the caller the answer may already be queued.
        if waited_ns > patience_ms * NS_PER_MS and self._happenings.empty():
            if self.connected:
                # Every new connection adds to the load of an overloaded broker. The keep-alive finds a dead one.
                self._answer_ms = min(2 * patience_ms, MOST_ANSWERS * self._patience.answer_ms)
            self._give_up(f"no answer for {patience_ms} ms", steady=False)

    def happened(self, timeout_s: float) -> list[LinkEvent]:
        """Up to MOST_AT_ONCE events; waits at most `timeout_s` for the first."""
        found: list[LinkEvent] = []
        try:
            whose, happening = self._happenings.get(timeout=timeout_s)
            while True:
                if whose is self._connection:
                    found += self._handle(happening)
                if len(found) >= MOST_AT_ONCE:
                    return found
                whose, happening = self._happenings.get_nowait()
        except queue.Empty:
            return found

    def publish(self, message: Message) -> int:
        """Returns a token, which its Receipt repeats unless the connection ends first. Only while connected."""
        self._token += 1
        self._waiting.append((self._token, message))
        self._pump()
        return self._token

    def renew(self, why: str) -> None:
        """Ends the connection with a DISCONNECT; the next begins at once."""
        if self._connection is not None and self.connected:
            self.renewing = True
            self._connection.disconnect(why)

    # --- for the subclasses -------------------------------------------------------------------------------------

    def _leave(self, end_ns: int) -> None:
        """Disconnects with a DISCONNECT if possible before `end_ns`, by the monotonic clock."""
        self._leaving = True
        if self.connected and self._connection is not None and self._clock.monotonic_ns() < end_ns:
            self._connection.disconnect()
            while self._connection is not None and self._clock.monotonic_ns() < end_ns:
                self.happened(0.05)
        if self._connection is not None:
            self._connection.cut()
            self._connection = None
        self.connected = False

    def _give_up(self, why: str, steady: bool = True) -> None:
        """Reports Ended with the reason, then closes the connection: its own thread would report no reason. `steady`:
        False if the connection was useless, even after a long time.
        """
        if self._connection is not None:
            if not steady:
                self._began_ns = self._clock.monotonic_ns()
            self._happenings.put((self._connection, Ended(why)))
            self._connection.cut()

    # --- within ------------------------------------------------------------------------------------------------

    def _begin(self, now_ns: int) -> None:
        try:
            tls = tls_context(self._broker)  # read each time: a renewed certificate needs no restart
        except BadInput as error:
            self._end(str(error))
            return
        self._began_ns = now_ns
        self._connection = self._open(self._terms(), tls)

    def _open(self, terms: Terms, tls: ssl.SSLContext | None) -> Connection:
        return Connection(self._broker, terms, tls, self._happenings)

    def _handle(self, happening: Happening) -> list[LinkEvent]:
        match happening:
            case Connected(_, most):
                self.connected, self._refused, self.renewing = True, False, False
                self._limit = min(MOST_IN_FLIGHT, most)
                self._log_once(f"connected to {self._at}, {self._called()}")
            case SubscriptionRefused():
                self._unread(happening)
                return []
            case Acknowledged(mid, refusal):
                token, _, topic = self._unacknowledged.pop(mid, (0, 0, ""))
                self._pump()
                if not self._unacknowledged:
                    self._answer_ms = self._patience.answer_ms
                if refusal is not None and not self._refused:
                    self._refused = True  # one message for each connection: later refusals have the same cause
                    self._log.warning("publication_refused: the broker does not take %s: %s", topic, refusal)
                return [Receipt(token, refusal)] if token else []
            case Ended(why):
                self._end(why)
        return [happening]

    def _pump(self) -> None:
        while self._connection is not None and self._waiting and len(self._unacknowledged) < self._limit:
            token, message = self._waiting.popleft()
            self._unacknowledged[self._connection.publish(message)] = (token, self._clock.monotonic_ns(), message.topic)

    def _end(self, why: str) -> None:
        now_ns = self._clock.monotonic_ns()
        if self.renewing and self.connected:
            self._backoff.due_ns = now_ns
        else:
            self.renewing = False
            self._backoff.ended(now_ns, now_ns - self._began_ns if self.connected else 0)
        self._connection = None
        self.connected = False
        self._waiting.clear()
        self._unacknowledged.clear()
        self._log_once(f"no connection to {self._at}: {why}")

    def _log_once(self, text: str) -> None:
        """Logs a text once for repeated failures."""
        if text != self._logged and not self._leaving:
            self._log.info("%s", text) if self.connected else self._log.warning("broker_absent: %s", text)
            self._logged = text
