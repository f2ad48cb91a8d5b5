# SPDX-License-Identifier: Apache-2.0
"""Tries each forbidden action at the cluster: with a unit's certificate, with a revoked one, and without any."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from linetap_bench.fleet.schedule import GONE
from linetap_bench.fleet.schedule import names as unit_names
from linetap_bench.stage.servers import HOST, end_client
from linetap_core.clock import SYSTEM, ns_of
from linetap_core.enrolment.request import client_id
from linetap_core.wire.topics import PREFIX, Topics

ANSWER_S = 30.0
QUIET_S = 2.0


@dataclass
class Client:
    """A client with a certificate of the city; without any if `certificate` is empty."""

    city: Path
    port: int
    certificate: str
    client_id: str
    session_s: int = 0
    answers: list[str] = field(default_factory=list)  # refusals and disconnections
    granted: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=str(self.city / "tls" / "ca.pem"))
        if self.certificate:
            pair = [str(self.city / "tls" / f"{self.certificate}.{end}") for end in ("pem", "key")]
            context.load_cert_chain(*pair)
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self.client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        client.tls_set_context(context)
        client.on_connect = lambda _c, _u, _f, reason, _p: self._answered("connect", reason)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self.answers.append(f"disconnected: {reason}")
        client.on_publish = lambda _c, _u, _m, reason, _p: self._answered("publish", reason)
        client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._answered("subscribe", reasons[0])
        client.on_message = lambda _c, _u, message: self.heard.append(message.topic)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = self.session_s
        with contextlib.suppress(OSError):  # refused by TLS
            client.connect(HOST, self.port, 30, clean_start=not self.session_s, properties=session)
            client.loop_start()
            self.waits("connect")

    def publish(self, topic: str) -> bool:
        """Whether the broker accepted the message."""
        self._client.publish(topic, b"{}", 1)
        return self.waits("publish")

    def subscribe(self, topic: str) -> bool:
        self._client.subscribe(topic, 1)
        return self.waits("subscribe")

    @property
    def connected(self) -> bool:
        return "connect" in self.granted and not self.answers

    def waits(self, what: str) -> bool:
        """Whether the broker granted the subscription; a client that gets no answer counts as refused."""
        end_ns = SYSTEM.monotonic_ns() + ns_of(ANSWER_S)
        while what not in self.granted and not self.answers and SYSTEM.monotonic_ns() < end_ns:
            SYSTEM.sleep(0.05)
        return what in self.granted

    def end(self) -> None:
        end_client(self._client)

    def _answered(self, what: str, reason: object) -> None:
        refused = bool(getattr(reason, "is_failure", False))
        (self.answers if refused else self.granted).append(f"{what}: {reason}" if refused else what)


@contextlib.contextmanager
def _client(city: Path, port: int, certificate: str, client_id: str, session_s: int = 0) -> Iterator[Client]:
    made = Client(city, port, certificate, client_id, session_s)
    try:
        yield made
    finally:
        made.end()


def _name(city: Path, unit: str) -> str:
    """The client id that the unit's reporter uses."""
    return client_id((city / "tls" / f"{unit}.pem").read_bytes()) or f"linetap-{unit}"


def _until_it_serves(city: Path, port: int) -> None:
    """Waits until the front address serves: haproxy checks its nodes every few seconds."""
    for _ in range(round(ANSWER_S)):
        with _client(city, port, "desk-seoul", "linetap-desk-0") as desk:
            if desk.connected:
                return
        SYSTEM.sleep(1)


def permission_faults(city: Path, port: int) -> list[str]:
    """Forbidden actions that succeeded, and permitted ones that failed: a unit without any rights would pass too."""
    unit, other = unit_names(2)
    found = []
    _until_it_serves(city, port)
    with _client(city, port, "desk-seoul", "linetap-desk-1", session_s=60) as desk:
        if not desk.subscribe(Topics(unit).named("+")):
            found.append(f"the desk cannot hear a unit: {desk.answers}")
        with _client(city, port, unit, _name(city, unit)) as mine:
            if not (mine.subscribe(Topics(unit).commands) and mine.publish(Topics(unit).named("status"))):
                found.append("a unit cannot do its work")
        for what, topic in (
            ("another's status", Topics(other).named("status")),
            ("a command", Topics(other).named("cmd/ack")),
        ):
            with _client(city, port, unit, _name(city, unit)) as mine:
                if mine.publish(topic):
                    found.append(f"a unit publishes {what}")
        for topic in (Topics(other).commands, f"{PREFIX}/#"):
            with _client(city, port, unit, _name(city, unit)) as mine:
                if mine.subscribe(topic):
                    found.append(f"a unit subscribes to {topic}")
        with _client(city, port, "desk-wall", "linetap-wall-1") as wall:
            if wall.publish(Topics(unit).named("cmd/ack")):
                found.append("a screen commands a unit")
        for certificate, what in ((GONE, "a revoked certificate"), ("", "no certificate")):
            with _client(city, port, certificate, f"linetap-{certificate}") as stranger:
                if stranger.connected:
                    found.append(f"{what} is let in")
        with _client(city, port, unit, "linetap-desk-1", session_s=60) as thief:
            SYSTEM.sleep(QUIET_S)
            if thief.heard or thief.subscribe(Topics(other).named("+")):
                found.append("a unit has the desk's session")
        if not desk.connected:
            found.append(f"a unit ends the desk's connection by its client's name: {desk.answers}")
    with _client(city, port, other, _name(city, other)) as victim:
        with _client(city, port, unit, _name(city, other)) as thief:
            SYSTEM.sleep(QUIET_S)
            if thief.connected:
                found.append("a unit takes another's client's name")
        if not victim.connected:
            found.append(f"a unit ends another's connection by its client's name: {victim.answers}")
    return found
