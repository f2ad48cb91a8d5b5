# SPDX-License-Identifier: Apache-2.0
"""Connects the parts of the reporter: outbox and state files to the link. It can block no other service."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

from linetap import checks
from linetap.checks import Snapshot, Watch, take_snapshot
from linetap.checks.frame import MB
from linetap.checks.judgement import alerts_before
from linetap.checks.watch import Seen
from linetap.config import Config
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.reporter.copies import Copies
from linetap.reporter.discovery import discovery
from linetap.reporter.feed import DEAF, Cursor, Feed, Resending
from linetap.reporter.health import Ages, OutboxFigures, health, outgoing
from linetap.reporter.inbox import Inbox
from linetap.reporter.link import Certificate, Link, Patience
from linetap.reporter.telemetry import AlertLog, AlertTelemetry, LineTelemetry, LogHead, pace
from linetap_core import __version__, rundir
from linetap_core.broker.connection import Arrived, Connected, Ended
from linetap_core.broker.link import Receipt
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, Clock, ns_of
from linetap_core.errors import LinetapError
from linetap_core.records import Fault, OutboxState, RecorderState, ReporterState
from linetap_core.service import START_AGAIN, StateFile, Stop, lock_of, start_logging
from linetap_core.wire.alerts import ALERTS
from linetap_core.wire.topics import HEALTH_EVERY_S, Topics

TURN_S = 0.1
LINES_EVERY_MS = 100  # with the recorder's 250 ms, a change is published within 0.5 s
GOODBYE_MS = 2000

log = logging.getLogger("linetap.reporter")


def run(config: Config, clock: Clock = SYSTEM, patience: Patience = Patience()) -> int:  # noqa: B008 - frozen
    """Runs until SIGTERM. BadInput for certificates that cannot be used; an absent broker is no error."""
    stop = Stop()
    start_logging("reporter")
    with lock_of(config.run_path, "reporter"):
        file = StateFile(config.run_path, "reporter", clock)
        try:
            reporter = Reporter(config, clock, patience)
        except LinetapError as error:
            file.write(_first_state(config, clock, Fault(error.code, str(error))))
            raise
        try:
            while not (stop.requested or file.outdated):
                reporter.turn()
                if file.due():
                    file.write(reporter.state())
                    reporter.unwritten = file.unwritten
        finally:
            file.ending = stop.requested
            reporter.end()
            file.write(reporter.state())
    return START_AGAIN if file.outdated and not stop.requested else 0


class Reporter:
    """The reporter: one turn every TURN_S, sooner when the broker answers."""

    def __init__(self, config: Config, clock: Clock, patience: Patience) -> None:
        self._config, self._clock = config, clock
        topics = Topics(config.unit)
        self._topics = topics
        self._link = Link(config.broker, config.unit, clock, patience)
        self._cursor = Cursor(config.vault_path.parent / "reporter" / "cursor.json", clock)
        outbox = config.vault_path / "outbox"
        self._resending = Resending(OutboxReader(outbox), clock, patience.desk_s)
        self._feed = Feed(OutboxReader(outbox), self._cursor, clock, self._resending)
        self._outbox = OutboxReader(outbox)  # for the outbox's figures in health
        self._ages = Ages()
        self._inbox = Inbox(config.run_path, clock)
        self._copies = Copies(config.vault_path, rundir.index_list(config.run_path), topics, clock)
        self._watch = Watch(config, clock)
        self._lines = LineTelemetry(topics, [line.number for line in config.line])
        self._alerts = AlertTelemetry(topics, ALERTS)
        self._head = LogHead(config.vault_path, topics)
        before = alerts_before(config, clock, "reporter", ReporterState)
        self._judge, self._journal = checks.judge(before, clock.monotonic_ns()), AlertLog()
        self._certificate = Certificate(config.broker.certificate)
        self._starting: tuple[str, ...] | None = None  # as last published in health
        self._discovery_token = 0
        self.unwritten: str | None = None  # why the reporter's own state file cannot be written
        self._tried = False  # whether a connection was tried, successful or not
        self._lines_ns = self._health_ns = self._outbox_ns = self._repeat_ns = 0
        self._repeat_every_ns = ns_of(patience.repeat_s)
        self._outgoing = OutboxFigures(0, 0, 0, "broker", 0, None)
        self._state = _first_state(config, clock, None)

    def turn(self) -> None:
        self._link.turn()
        for happening in self._link.happened(TURN_S):
            self._tried = self._tried or isinstance(happening, Connected | Ended)
            match happening:
                case Connected():
                    self._publish_all()
                case Receipt(token, refusal):
                    self._feed.acknowledged(token, refusal)
                    self._copies.acknowledged(token)
                    if token == self._discovery_token and refusal is not None:
                        log.warning("discovery_refused: the broker refuses home_assistant.discovery: %s", refusal)
                case Arrived():
                    verb = happening.topic.rpartition("/")[2]
                    self._inbox.receive(verb, happening.payload, happening.correlation)
                    happening.acknowledge()
                case Ended():
                    self._feed.lost_connection()
                    self._copies.lost_connection()
        self._publish_due()
        for reply in self._inbox.replies():
            if self._link.connected:
                self._link.publish(self._topics.reply(reply.verb, reply.payload, reply.correlation))
                self._copies.answered(reply.payload, reply.correlation)
        if self._link.connected:
            self._feed.send(lambda payload, sig: self._link.publish(self._topics.call(payload, sig)))
            self._copies.send(self._link.publish)
        else:
            self._feed.refresh()
        self._cursor.save()
        self._state.progress += 1

    def state(self) -> ReporterState:
        state = self._state
        state.connected = self._link.connected or self._link.renewing  # a renewal is no fault of the network
        state.tried, state.session = self._tried, self._link.session
        state.delivered_seq = self._feed.delivered_seq
        state.queue_length = self._queue_length()
        return state

    def end(self) -> None:
        for receipt in self._link.close(GOODBYE_MS):
            self._feed.acknowledged(receipt.token, receipt.refusal)
        self._cursor.save(at_once=True)

    def _publish_all(self) -> None:
        """Publishes all states again from the next turn on: a broker may have no, or outdated, retained messages."""
        self._lines.forget()
        self._alerts.forget()
        self._head.forget()
        if self._config.home_assistant.discovery:
            payload = discovery(self._topics, [line.number for line in self._config.line])
            self._discovery_token = self._link.publish(self._topics.discovery(payload))
        self._lines_ns = self._health_ns = self._outbox_ns = 0
        self._repeat_ns = self._clock.monotonic_ns() + self._repeat_every_ns

    def _publish_due(self) -> None:
        now_ns = self._clock.monotonic_ns()
        connected = self._link.connected
        if connected and not self._config.broker.retained and now_ns >= self._repeat_ns:
            self._repeat_ns = now_ns + self._repeat_every_ns
            self._lines.forget()
            self._alerts.repeat()
            self._head.forget()
        if connected and now_ns >= self._lines_ns:
            self._lines_ns = now_ns + LINES_EVERY_MS * NS_PER_MS
            recorder = self._watch.recorder()
            utc_ns = self._clock.utc_ns()
            for message in self._lines.changed(recorder, utc_ns, now_ns, pace(self._queue_length())):
                self._link.publish(message)
            if recorder.state is not None and self._resending.follow(recorder.state.delivery, self._feed.delivered_seq):
                self._link.renew(DEAF)
        if not self._judge.is_due(now_ns):
            return
        snapshot = self._snapshot(now_ns)
        judgement = self._judge.judge(snapshot, now_ns)
        findings = judgement.findings
        self._state.alerts = judgement.alerts
        self._journal.write(findings, now_ns)
        if connected:
            for message in (*self._alerts.changed(findings, now_ns), *self._head.changed(now_ns)):
                self._link.publish(message)
        if connected and (now_ns >= self._health_ns or judgement.starting != self._starting):
            self._starting = judgement.starting
            self._health_ns = now_ns + pace(self._queue_length()).health_s * NS_PER_S
            # The birth is repeated: a bridge may have delivered the will of an older session after it.
            self._link.publish(self._link.birth())
            self._link.publish(self._topics.health(health(snapshot, self._outgoing, judgement)))

    def _snapshot(self, now_ns: int) -> Snapshot:
        """The other services by their files, and the reporter by its own memory: its file may be older than the
        connection.
        """
        snapshot = take_snapshot(self._config, self._watch, self._clock)
        if now_ns >= self._outbox_ns:
            self._outbox_ns = now_ns + HEALTH_EVERY_S * NS_PER_S
            self._outgoing = self._measure(snapshot.services.recorder.state)
        now = self._outgoing
        self._state.outbox = OutboxState(
            oldest_s=now.oldest_s,
            unconfirmed=now.unconfirmed,
            confirmed_by=now.confirmed_by,
            size_bytes=now.outbox_bytes,
            limit_bytes=self._config.storage.outbox_mb * MB,
        )
        self._state.certificate_until = self._certificate.until()
        own = Seen(self.state(), "alive" if self._tried else "starting", unwritten=self.unwritten)
        return replace(snapshot, services=replace(snapshot.services, reporter=own))

    def _measure(self, recorder: RecorderState | None) -> OutboxFigures:
        """The outbox's figures. The recorder's state names the confirming party, also without a connection."""
        confirmed = self._resending.confirmed
        if recorder is not None:
            confirmed = recorder.delivery.confirmed if recorder.delivery.desk else None
        utc_ns, now_ns = self._clock.utc_ns(), self._clock.monotonic_ns()
        return outgoing(self._outbox, self._feed.delivered_seq, confirmed, self._ages, utc_ns, now_ns)

    def _queue_length(self) -> int:
        return max(0, self._feed.last_seq - self._feed.delivered_seq)


def _first_state(config: Config, clock: Clock, fault: Fault | None) -> ReporterState:
    return ReporterState(
        service="reporter",
        version=__version__,
        pid=os.getpid(),
        started_ns=clock.monotonic_ns(),
        mono_ns=0,
        progress=0,
        fault=fault,
        connected=False,
        tried=False,
        session="",
        broker=f"{config.broker.host}:{config.broker.port}",
    )
