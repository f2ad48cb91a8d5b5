# SPDX-License-Identifier: Apache-2.0
"""One ingest: broker -> verification -> database -> acknowledgement -> confirmation, in this order, in one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Protocol

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.broker.connection import Arrived, Connected, Ended
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.durable.signedfile import load_key
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.signing.authority import Authority
from linetap_core.wire import topics
from linetap_core.wire.mqtt import Broker, Message
from linetap_desk.accesslog.deskfolder import read_authority, read_roles
from linetap_desk.config.desk import CopyConfig, Settings
from linetap_desk.ingest import batches, database, outgoing
from linetap_desk.ingest.batches import BatchSender
from linetap_desk.ingest.confirm import Confirmer
from linetap_desk.ingest.destroyedcalls import Clearing
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.link import Link, Patience
from linetap_desk.ingest.missingevents import Holes, Missing
from linetap_desk.ingest.outages import Outages
from linetap_desk.ingest.outgoing import HoldSender
from linetap_desk.ingest.register import Arrival, SignersFile, UnitMessage
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.ingest.store import Store
from linetap_desk.ingest.vaults import Group

TURN_S = 0.2
TOPICS = topics.of_every_unit(
    "status",
    "health",
    "alert/+",
    "call",
    "log",
    "reply/ack",
    "reply/resend",
    f"reply/{fetch.VERB}",
    f"reply/{outgoing.VERB}",
    *(f"reply/{verb}" for verb in batches.VERBS),
)

OF_A_UNIT = ("+", "alert/+", "reply/+")  # the same topics, with three filters for each unit

log = logging.getLogger("linetap.ingest")

CommandFor = Callable[[str, str, dict[str, str]], Message]  # unit, verb, body -> the signed command


class Copies(Protocol):
    """The transfer of calls into the second copy, within the ingest's turn (copy/service.py)."""

    def arrived(self, unit: str, message: Arrived) -> None:
        """Processes a message of `reply/fetch`."""

    def status(self, unit: str, payload: bytes) -> None:
        """Processes a message of `status`, which differs in every session of the unit."""

    def turn(self) -> Iterable[Message]:
        """The messages to publish now. SQLAlchemyError: the database is unavailable."""

    def lost_connection(self) -> None: ...

    def end(self) -> None: ...


StartCopies = Callable[[CopyConfig, Engine, SignersFile, CommandFor, Clock, Share], Copies]


class Ingest:
    """The ingest. It has one turn every TURN_S, or earlier when a message arrives."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        signers: SignersFile,
        clock: Clock,
        patience: Patience,
        start_copies: StartCopies | None,
        confirms: bool = True,
        share: Share = ALL_UNITS,
        counter: int = 0,
    ) -> None:
        """`confirms`: False while an index is rebuilt, since units would drop confirmed events and the index may still
        be discarded. Then the ingest only requests events, and marks none as late. `start_copies`: None without copies.
        `counter`: see confirm.py."""
        self._store, self._signers = Store(engine, marks_late=confirms, share=share), signers
        self._clock, self._patience, self._share = clock, patience, share
        self._link = Link(*session_of(settings, share), self._topics(), clock, patience)
        self._retained = settings.broker.retained
        self._subscribed_for: object = None  # the signers whose units are subscribed to
        self._waiting: list[tuple[Arrived, Arrival | None]] = []  # received, not stored yet
        self._confirms = confirms
        self._new_connection = False  # not recorded in the database yet
        self._retained_again = True  # the broker sends all retained messages again
        self._confirmer = Confirmer(load_key(settings.key), clock, counter) if settings.key is not None else None
        self._holes = Holes(engine, clock, share)
        self._clearing = Clearing(engine, clock, share, settings.zone)
        self._outages = Outages(engine, clock, share)
        self._copying: Copies | None = None
        if settings.copy is not None and self._confirmer is not None and start_copies is not None:
            self._copying = start_copies(settings.copy, engine, signers, self._confirmer.command, clock, share)
        self._for_pages: tuple[HoldSender | BatchSender, ...] = ()
        if settings.outgoing is not None and confirms:
            given = settings.outgoing, lambda: in_force(settings), engine, clock, share
            self._for_pages = HoldSender(*given), BatchSender(*given)
        self._due_ns = 0
        self._trouble = ""

    @property
    def connected(self) -> bool:
        return self._link.connected

    def turn(self, wait_s: float = TURN_S) -> None:
        """Processes the waiting messages; waits at most `wait_s` for the first one."""
        self._follow_signers()
        self._link.turn()
        for happening in self._link.happened(wait_s):
            match happening:
                case Arrived() if unit := _fetched_from(happening.topic):
                    if self._copying is not None:
                        self._copying.arrived(unit, happening)
                    happening.acknowledge()  # a lost block is requested again
                case Arrived():
                    self._waiting.append((happening, self._arrival_of(happening)))
                case Connected(resumed):
                    self._new_connection = True
                    self._retained_again = self._retained or not resumed
                case Ended():
                    self._waiting.clear()  # the broker sends them again
                    if self._copying is not None:
                        self._copying.lost_connection()
        if self._clock.monotonic_ns() >= self._due_ns:
            self._store_and_publish()

    def request_events(self, group: Group, first: int, last: int) -> None:
        """Requests missing events that leave no gap in the stored events."""
        if self._confirmer is not None and self._link.has_room:
            self._link.publish(self._confirmer.resend(group, first, last))

    def end(self) -> None:
        self._link.close()
        if self._copying is not None:
            self._copying.end()

    def _follow_signers(self) -> None:
        """Subscribes to units that the signers' file has newly named."""
        if self._share.has_all_units or (signers := self._signers.now()) is self._subscribed_for:
            return
        self._subscribed_for = signers
        try:
            self._link.follow(self._topics())
        except BadInput as error:
            log.error("signers_unread: %s; the subscriptions stay as they were", error)

    def _topics(self) -> tuple[str, ...]:
        """The topics of the subscriptions. A share's session lists its units one by one, so that it gets no other's
        messages."""
        if self._share.has_all_units:
            return TOPICS
        mine = filter(self._share.has, self._signers.units())
        return tuple(f"{topics.PREFIX}/{unit}/{rest}" for unit in mine for rest in OF_A_UNIT)

    def _arrival_of(self, arrived: Arrived) -> Arrival | None:
        """The message by its kind. None for one outside a unit's topics; that is acknowledged and ignored."""
        found = topics.address(arrived.topic)
        if found is None or not self._share.has(found.unit):
            return None
        unit, kind, below = found
        now_ns = self._clock.utc_ns()
        match kind:
            case "call":
                return Report(unit, arrived.payload, arrived.user.get("sig", ""), now_ns)
            case "log":
                return HeadReport(unit, arrived.payload, arrived.user.get("sig", ""), now_ns)
            case "status" | "health" | "alert":
                if kind == "status" and self._copying is not None:
                    self._copying.status(unit, arrived.payload)
                return UnitMessage(unit, kind, arrived.payload, now_ns, below)
            case "reply" if below == outgoing.VERB or below in batches.VERBS:
                for sender in self._for_pages:
                    if below in sender.verbs:
                        sender.record_answer(unit, arrived.payload, arrived.correlation)
            case "reply" if self._confirmer is not None:
                self._confirmer.record_answer(unit, arrived.payload)
        return None

    def _store_and_publish(self) -> None:
        try:
            self._store_waiting()
            missing = self._holes.find()
            self._clearing.clear_due()
            self._outages.update()
            self._publish_due(missing)
            self._publish_for_pages()
        except SQLAlchemyError as error:
            self._due_ns = self._clock.monotonic_ns() + self._patience.database_ms * NS_PER_MS
            self._log_trouble(
                f"database_away: {database.reason(error)}; nothing is acknowledged, and it is tried again"
            )
            return
        self._log_trouble("")

    def _publish_due(self, missing: list[Missing]) -> None:
        if self._confirmer is None or not self._link.has_room:
            return
        asked = [self._confirmer.resend(one.group, one.first, one.last) for one in missing]
        copies = self._copying.turn() if self._copying is not None else ()
        for message in chain(asked, self._confirmer.due_confirmations(self._store.ack_fields), copies):
            self._link.publish(message)

    def _publish_for_pages(self) -> None:
        for sender in self._for_pages:
            if self._link.has_room:
                for message in sender.turn():
                    self._link.publish(message)

    def _store_waiting(self) -> None:
        """Stores all waiting messages in one transaction, acknowledges them after the commit, and then confirms
        them."""
        reached: dict[Group, int] = {}
        if self._new_connection:
            self._outages.connected()
            if self._retained_again:
                self._store.connected()
            reached |= self._store.reached()
        if self._waiting:
            reached |= self._store.write([one for _, one in self._waiting if one is not None], self._signers.now())
        for arrived, _ in self._waiting:
            arrived.acknowledge()
        if self._confirmer is not None and self._confirms:
            self._confirmer.confirm(reached.items())
            for _, one in self._waiting:
                if isinstance(one, UnitMessage) and one.topic == "status":
                    self._confirmer.unit_returned(one.unit)  # the unit may have reconnected
        self._waiting.clear()
        self._new_connection = False

    def _log_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.error("%s", trouble) if trouble else log.info("database_back")
        self._trouble = trouble


def session_of(settings: Settings, share: Share) -> tuple[Broker, str]:
    """The broker, and the client id of the session. Each share has its own session, whichever ingest has the share.
    `{share}` in the path of a certificate or key is the share's number: a broker may name sessions by certificates."""
    if share.has_all_units:
        return settings.broker, settings.client_id
    files = {"certificate": settings.broker.certificate, "key": settings.broker.key}
    its = {name: file and file.replace("{share}", str(share.number)) for name, file in files.items()}
    return msgspec.structs.replace(settings.broker, **its), f"{settings.client_id}-{share.number}"


def in_force(settings: Settings) -> tuple[Authority, Roles]:
    """The present roles, signed by the authority. BadInput or a Refusal if there are none."""
    if settings.roles is None or settings.authority is None:
        raise BadInput("serve.roles and serve.authority are missing in desk.toml")
    authority = read_authority(settings.authority)
    return authority, read_roles(settings.roles, authority)[2]


def _fetched_from(topic: str) -> str | None:
    """The unit of a topic of fetched blocks; None for another topic."""
    found = topics.address(topic)
    return found.unit if found is not None and (found.kind, found.below) == ("reply", fetch.VERB) else None
