# SPDX-License-Identifier: Apache-2.0
"""A unit's way to its broker. Every connection is a session with an id of its own, in birth and will: the will of an
old one may arrive after the birth of a new one, and is then known for what it is.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from dataclasses import dataclass
from typing import Literal

from linetap.reporter.resend import PATIENCE_S
from linetap_core import __version__
from linetap_core.broker import link
from linetap_core.broker.connection import Terms, Unread
from linetap_core.broker.link import Receipt
from linetap_core.broker.tls import CertificateAwaited
from linetap_core.clock import NS_PER_MS, Clock, rfc3339
from linetap_core.evidence.authorization.command import LIMIT_BYTES
from linetap_core.wire.mqtt import Broker, Message
from linetap_core.wire.topics import Status, Topics

MOST_COMMANDS = 8  # that the broker may send before the first is taken
_LARGEST_PACKET_BYTES = LIMIT_BYTES + 4096

log = logging.getLogger("linetap.reporter.link")


@dataclass(frozen=True, slots=True)
class Patience(link.Patience):
    desk_s: float = PATIENCE_S  # for the desk to confirm what a broker has taken


class Link(link.Link):
    """Besides: `session` and `since` of the connection that stands or is tried."""

    def __init__(self, broker: Broker, unit: str, clock: Clock, patience: Patience) -> None:
        """BadInput for certificates that cannot be used."""
        super().__init__(broker, clock, patience, log)
        self._topics = Topics(unit)
        self._client_id = f"linetap-{unit}"
        self.session = self.since = ""

    def _require_files(self) -> None:
        """A new unit has no certificate until its request is answered: until then it reaches no broker, and waits."""
        with contextlib.suppress(CertificateAwaited):
            super()._require_files()

    def birth(self) -> Message:
        return self._status("online", self.since)

    def close(self, patience_ms: int) -> list[Receipt]:
        """Says goodbye where there is somebody to say it to, and does not wait longer than that for an answer.
        The receipts that came meanwhile. Without an answer it is the will that tells the desk."""
        self._leaving = True
        receipts: list[Receipt] = []
        end_ns = self._clock.monotonic_ns() + patience_ms * NS_PER_MS
        goodbye = self.publish(self._status("offline", rfc3339(self._clock.utc_ns()))) if self.connected else 0
        while self.connected and self._clock.monotonic_ns() < end_ns:
            receipts += [it for it in self.happened(0.05) if isinstance(it, Receipt)]
            if any(receipt.token == goodbye for receipt in receipts):
                break
        self._leave(end_ns)
        return receipts

    def _terms(self) -> Terms:
        self.session = secrets.token_hex(8)
        self.since = rfc3339(self._clock.utc_ns())
        return Terms(
            self._client_id,
            (self._topics.commands,),
            MOST_COMMANDS,
            _LARGEST_PACKET_BYTES,
            will=self._status("offline", self.since),
        )

    def _unread(self, what: Unread) -> None:
        """A unit that may not be commanded from here still reports."""
        log.warning("commands_unread: the broker does not let us read %s", what.topic)

    def _called(self) -> str:
        return f"session {self.session}"

    def _status(self, state: Literal["online", "offline"], since: str) -> Message:
        return self._topics.status(Status(state, self.session, __version__, since))
