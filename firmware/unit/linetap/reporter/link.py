# SPDX-License-Identifier: Apache-2.0
"""A unit's connection to its broker, and the end of its certificate.

Every connection is a session with an id in its birth and its will. The id identifies the will of an old session that
arrives after the birth of a new one.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from linetap.reporter.feed import PATIENCE_S
from linetap_core import __version__
from linetap_core.broker import link
from linetap_core.broker.client import CertificateAwaited
from linetap_core.broker.connection import SubscriptionRefused, Terms
from linetap_core.broker.link import Receipt
from linetap_core.clock import NS_PER_MS, Clock, rfc3339, utc_ns_of
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.command import LIMIT_BYTES
from linetap_core.rundir import read_small
from linetap_core.wire.mqtt import Broker, Message
from linetap_core.wire.topics import Status, Topics

MOST_COMMANDS = 8  # commands that the broker may send before the first is accepted
_LARGEST_PACKET_BYTES = LIMIT_BYTES + 4096

log = logging.getLogger("linetap.reporter.link")


@dataclass(frozen=True, slots=True)
class Patience(link.Patience):
    desk_s: float = PATIENCE_S  # for the desk's confirmation of events that the broker has acknowledged
    repeat_s: float = 120  # between two reports of all standing alerts, for a broker that repeats no retained messages


class Link(link.Link):
    """A core link with `session` and `since` of the present or attempted connection."""

    def __init__(self, broker: Broker, unit: str, clock: Clock, patience: Patience) -> None:
        """BadInput for certificates that cannot be used."""
        super().__init__(broker, clock, patience, log)
        self._topics = Topics(unit)
        self._unit, self._certificate = unit, broker.certificate
        self.session = self.since = ""

    def _require_files(self) -> None:
        """Requires the certificate's files. A new unit without a certificate waits for the answer to its request."""
        with contextlib.suppress(CertificateAwaited):
            super()._require_files()

    def birth(self) -> Message:
        return self._status("online", self.since)

    def close(self, patience_ms: int) -> list[Receipt]:
        """Publishes the offline status if connected, and waits at most `patience_ms` for its acknowledgement.

        Returns the receipts that arrived meanwhile. Without an acknowledgement, the will notifies the desk.
        """
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
            self._client_id(),
            (self._topics.commands,),
            MOST_COMMANDS,
            _LARGEST_PACKET_BYTES,
            will=self._status("offline", self.since),
        )

    def _client_id(self) -> str:
        """The name in the certificate, which may have been renewed."""
        own = None
        if self._certificate is not None:
            from linetap_core.enrolment.request import client_id  # costs 1 MB, so only with a certificate

            with contextlib.suppress(BadInput):  # which the link reports
                own = client_id(read_small(Path(self._certificate), _LIMIT_BYTES))
        return own or f"linetap-{self._unit}"

    def _unread(self, what: SubscriptionRefused) -> None:
        """Logs a refused subscription: a unit that cannot receive commands over this broker still reports."""
        log.warning("commands_unread: the broker refuses the subscription to %s", what.topic)

    def _called(self) -> str:
        return f"session {self.session}"

    def _status(self, state: Literal["online", "offline"], since: str) -> Message:
        return self._topics.status(Status(state, self.session, __version__, since))


# --- The certificate's end --------------------------------------------------------------------------------------------


_LIMIT_BYTES = 1 << 20


class Certificate:
    """The certificate, read again when its file changes, so that a renewed one needs no restart."""

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._until: str | None = None

    def until(self) -> str | None:
        """Returns the certificate's end, RFC 3339; None: no readable certificate, which the link reports."""
        if self._path is None:
            return None
        try:
            about = self._path.stat()
            seen = (about.st_ino, about.st_mtime_ns, about.st_size)
            if seen != self._seen:
                self._until = _end(self._path)
                self._seen = seen
        except (OSError, ValueError):
            self._seen = self._until = None
        return self._until


def _end(path: Path) -> str:
    """The end of the first certificate in the file. ValueError without one."""
    from cryptography import x509  # costs 1 MB, so only with a certificate

    from linetap_core.enrolment.certificates import UNREADABLE

    with path.open("rb") as file:
        data = file.read(_LIMIT_BYTES)
    try:
        return rfc3339(utc_ns_of(x509.load_pem_x509_certificate(data).not_valid_after_utc))
    except UNREADABLE as error:
        raise ValueError(str(error)) from None
