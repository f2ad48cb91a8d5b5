# SPDX-License-Identifier: Apache-2.0
"""A unit as the broker sees it: a real outbox, feed, link and delivery; its lines are scripted.

`turn` does the work of a turn of reporter/service.py, and of the recorder for `ack` and `resend`. Two parts are
omitted: the state files between services (up to 350 ms from the line to the reporter) and the spool of commands.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap.recorder.vault.outbox.delivery import Delivery
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.reporter.feed import DEAF, Cursor, Feed, Resending
from linetap.reporter.health import Ages, outgoing
from linetap.reporter.link import Link, Patience
from linetap.reporter.telemetry import AlertTelemetry
from linetap_bench.fleet.pool import Pool, PooledConnection
from linetap_core.broker.connection import Arrived, Connected, Connection, Ended, Terms
from linetap_core.broker.link import Receipt
from linetap_core.clock import NS_PER_DAY, NS_PER_S, Clock, ns_of, rfc3339
from linetap_core.errors import LinetapError
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import Answer, Command
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey, SigningKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallEvent
from linetap_core.wire.alerts import ALERTS
from linetap_core.wire.health import Health
from linetap_core.wire.mqtt import Broker
from linetap_core.wire.topics import HEALTH_EVERY_S, LineReport, Topics

OUTBOX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """A unit's names and keys, without its lines; `authority` and `roles` name the people who may command it."""

    name: str
    key: SigningKey
    broker: Broker
    authority: PublicKey
    roles: Roles


class FleetLink(Link):
    """A link that may not connect while `held`, as behind a switch without power."""

    def __init__(self, pool: Pool, identity: Identity, clock: Clock, patience: Patience) -> None:
        super().__init__(identity.broker, identity.name, clock, patience)
        self._pool, self._name = pool, identity.name
        self.held = False

    def turn(self) -> None:
        if not self.held:
            super().turn()

    def drop(self) -> None:
        """Closes the connection at once, without a DISCONNECT."""
        if self._connection is not None:
            self._connection.cut()

    def _open(self, terms: Terms, tls: ssl.SSLContext | None) -> Connection:
        return PooledConnection(self._pool, self._name, self._broker, terms, tls, self._happenings)


class Unit:
    def __init__(
        self, identity: Identity, lines: int, folder: Path, pool: Pool, clock: Clock, patience: Patience
    ) -> None:
        self.name, self._identity, self._clock = identity.name, identity, clock
        self._topics = Topics(identity.name)
        vault = folder / "outbox"
        origin = keys.fingerprint(identity.key.public_key())
        self._outbox = Outbox(vault, identity.name, self._sign, origin, OUTBOX_BYTES)
        self._delivery = Delivery(self._outbox, OutboxReader(vault), None)
        self._delivery.has_desk(True)
        self._resending = Resending(OutboxReader(vault), clock, patience.desk_s)
        self._cursor = Cursor(folder / "reporter" / "cursor.json", clock)
        self._feed = Feed(OutboxReader(vault), self._cursor, clock, self._resending)
        self._reader = OutboxReader(vault)  # for the outbox's figures in health
        self._ages = Ages()
        self._alerts = AlertTelemetry(self._topics, ALERTS)
        self._counters = Counters()
        now = rfc3339(clock.utc_ns())
        self._lines = {n: LineReport("idle", now, None) for n in range(1, lines + 1)}
        self._changed_lines: set[int] = set()
        self._health_ns = self._repeat_ns = 0
        self._repeat_every_ns = ns_of(patience.repeat_s)
        self.link = FleetLink(pool, identity, clock, patience)
        self.refused = 0  # commands refused

    @property
    def last_seq(self) -> int:
        return self._outbox.last_seq

    @property
    def taken(self) -> int:
        """Number of events that a broker has acknowledged."""
        return self._feed.delivered_seq

    @property
    def confirmed(self) -> int:
        return self._outbox.confirmed

    def show(self, line: int, report: LineReport) -> None:
        self._lines[line] = report
        self._changed_lines.add(line)

    def report(self, event: CallEvent) -> None:
        self._outbox.append(event)

    def turn(self) -> None:
        self.link.turn()
        for happening in self.link.happened(0):
            match happening:
                case Connected():
                    self._changed_lines = set(self._lines)
                    self._alerts.forget()
                    self._health_ns = 0
                    self._repeat_ns = self._clock.monotonic_ns() + self._repeat_every_ns
                case Receipt(token, refusal):
                    self._feed.acknowledged(token, refusal)
                case Arrived():
                    self._obey(happening)
                case Ended():
                    self._feed.lost_connection()
        if self.link.connected:
            if self._resending.follow(self._delivery.state, self._feed.delivered_seq):
                self.link.renew(DEAF)
            self._report(self._clock.monotonic_ns())
        self._cursor.save()

    def end(self) -> None:
        self.link.close(0)
        self._cursor.save(at_once=True)
        self._outbox.close()

    # --- within ------------------------------------------------------------------------------------------------

    def _report(self, now_ns: int) -> None:
        if not self._identity.broker.retained and now_ns >= self._repeat_ns:
            self._repeat_ns = now_ns + self._repeat_every_ns
            self._changed_lines = set(self._lines)
        for line in sorted(self._changed_lines):
            self.link.publish(self._topics.line(line, self._lines[line]))
        self._changed_lines.clear()
        if now_ns >= self._health_ns:
            self._health_ns = now_ns + HEALTH_EVERY_S * NS_PER_S
            for message in self._alerts.changed((), now_ns):
                self.link.publish(message)
            self.link.publish(self.link.birth())
            self.link.publish(self._topics.health(self._health()))
        self._feed.send(lambda payload, sig: self.link.publish(self._topics.call(payload, sig)))

    def _obey(self, arrived: Arrived) -> None:
        at_ns = self._clock.utc_ns()
        command: Command | None = None
        try:
            who = self._identity
            signed = envelopes.check_signed(arrived.payload, self.name, who.authority, who.roles, self._counters, at_ns)
            command, self._counters = signed.command, signed.using(self._counters)
            if command.verb == "ack":
                text, code = self._delivery.acknowledge(command), "done"
            else:
                text, code = self._delivery.resend(command, rfc3339(at_ns)), "done"
        except LinetapError as error:
            text, code = str(error), error.code
            self.refused += 1
        arrived.acknowledge()
        answer = Answer(
            unit=self.name, at=rfc3339(at_ns), done=code == "done", code=code, text=text,
            verb=command.verb if command else None,
            role=command.role if command else None,
            counter=command.counter if command else None,
        )  # fmt: skip
        if self.link.connected:
            verb = arrived.topic.rpartition("/")[2]
            self.link.publish(self._topics.reply(verb, msgspec.json.encode(answer), arrived.correlation))

    def _sign(self, data: bytes) -> str:
        return sshsig.sign(data, self._identity.key, namespaces.EVENT)

    def _health(self) -> Health:
        now_ns = self._clock.utc_ns()
        delivered, mono_ns = self._feed.delivered_seq, self._clock.monotonic_ns()
        events = outgoing(self._reader, delivered, self._resending.confirmed, self._ages, now_ns, mono_ns)
        return Health(
            at=rfc3339(now_ns), storage_days_left=400.0, storage_free_bytes=50 << 30, storage_total_bytes=58 << 30,
            recording_refused=None, card_encrypted=False, card_key=None, gap_ms=0.0, capture_gap_ms=0.0,
            overruns=0, calls_undated=0, clock_synced=True, clock_offset_ms=0.1,
            temperature_c=51.2, throttled=False,
            queue_length=events.queue_length, outbox_seq=events.outbox_seq, outbox_bytes=events.outbox_bytes,
            outbox_oldest_s=events.oldest_s, unconfirmed=events.unconfirmed, confirmed_by=events.confirmed_by,
            lines_in_use=sum(report.state != "idle" for report in self._lines.values()), lines=len(self._lines),
            pbx_port="open", pbx_day=rfc3339(now_ns - NS_PER_DAY)[:10], pbx_calls=40, pbx_recorded=36,
            pbx_missing=0, pbx_unseen=0,
            services_dead="", services_starting="", condition="ok", records=True,
            config_sha256=None, config_pending=None, update="", loader=None, eeprom="", departures="", alerts=0,
        )  # fmt: skip
