# SPDX-License-Identifier: Apache-2.0
"""A Mosquitto with the shipped configuration, with all its paths and names replaced by the test's."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import HOST, MOSQUITTO_21, START_S, Broker, Heard, until
from linetap_bench.stage.servers import end_client
from pki_rig import Pair, Pki

SHIPPED = Path(__file__).parents[2] / "systemd" / "mosquitto"
# The content of Debian's own /etc/mosquitto/mosquitto.conf, which reads conf.d.
_DEBIAN = "pid_file {0}/pid\npersistence_location {0}/\nlog_dest stderr\ninclude_dir {0}/conf.d\n"
_PERSISTENCE = {"2.0": "persistence true\n", "2.1": ""}  # linetap.conf names the one to remove, and the reason
_FOR_21 = "#2.1 "
_ANSWER_S = 60.0


@dataclass
class ShippedBroker(Broker):
    """`names` replace those in the files. `above` is the port of the city's broker, the target of a bridge; without it
    this is the city's.
    """

    pki: Pki = field(kw_only=True)
    pair: Pair = field(kw_only=True)
    names: tuple[tuple[str, str], ...] = ()
    above: int | None = None

    def _configuration(self) -> str:
        kept, read = self.folder / "linetap", self.folder / "conf.d"
        for folder in (kept, read):
            folder.mkdir(exist_ok=True)
        self.take_revocations()
        shutil.copy(self.pki.ca, kept / "ca.pem")
        shutil.copy(self.pair.certificate, kept / "broker.pem")
        shutil.copy(self.pair.key, kept / "broker.key")
        self._place("acl", kept / "acl")
        self._place("linetap.conf", read / "linetap.conf")
        if self.above is not None:
            self._place("bridge.conf", read / "linetap_bridge.conf")
        elif self.edition == "2.0":
            self._place("city.conf", read / "linetap_city.conf")
        user = "user root\n" if os.getuid() == 0 else ""
        return user + _PERSISTENCE[self.edition] + _DEBIAN.format(self.folder)

    def take_revocations(self) -> None:
        shutil.copy(self.pki.crl, self.folder / "linetap" / "crl.pem")

    def reload(self) -> None:
        """Reloads as `systemctl reload mosquitto`; it is complete a little later."""
        assert self.process is not None
        self.take_revocations()
        self.process.send_signal(signal.SIGHUP)

    def said(self) -> str:
        return (self.folder / "mosquitto.log").read_text()

    def _place(self, name: str, to: Path) -> None:
        text = (SHIPPED / name).read_text()
        if self.edition == "2.1":
            text = for_21(text)
        for old, new in (
            ("/etc/mosquitto/linetap/", f"{self.folder}/linetap/"),
            ("plugin /usr/", f"plugin {MOSQUITTO_21}/usr/"),
            ("listener 8883", f"listener {self.port} {HOST}"),
            ("mqtt.city.example:8883", f"{HOST}:{self.above}"),
            *self.names,
        ):
            text = text.replace(old, new)
        to.write_text(text)


def for_21(text: str) -> str:
    """The configuration for 2.1 according to linetap.conf: its #2.1 lines replace those right above them, up to a
    comment.
    """
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_FOR_21) and not lines[-1].startswith(_FOR_21):
            while lines[-1] and not lines[-1].startswith("#"):
                lines.pop()
        lines.append(line)
    return "".join(f"{line.removeprefix(_FOR_21)}\n" for line in lines)


class Client:
    """An MQTT 5 client with a certificate, over TLS. `heard` grows; each request waits for its answer."""

    def __init__(self, port: int, pki: Pki, pair: Pair, client_id: str = "", clean: bool = True, will: str = ""):
        self.heard: list[Heard] = []
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._gone: queue.SimpleQueue[str] = queue.SimpleQueue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
        client.tls_set_context(context(pki, pair))
        client.on_connect = lambda _c, _u, _f, reason, _p: self._answers.put(str(reason))
        client.on_publish = lambda _c, _u, _mid, reason, _p: self._answers.put(str(reason))
        client.on_subscribe = lambda _c, _u, _mid, reasons, _p: self._answers.put(str(reasons[0]))
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self._gone.put(str(reason))
        client.on_message = self._on_message
        client.reconnect_delay_set(1, 1)
        if will:
            client.will_set(will, b"gone", 1)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 0 if clean else 3600
        client.connect(HOST, port, 30, clean_start=clean, properties=session)
        client.loop_start()
        self._client = client
        assert self._answers.get(timeout=START_S) == "Success"

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        properties = {} if message.properties is None else vars(message.properties)
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain, properties))

    def subscribe(self, topic: str) -> str:
        self._client.subscribe(topic, 1)
        return self._answers.get(timeout=_ANSWER_S)

    def publish(self, topic: str, payload: bytes = b"1", retain: bool = False, **user: str) -> str:
        """Publishes; returns the broker's answer."""
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = list(user.items())
        self._client.publish(topic, payload, 1, retain, properties)
        return self._answers.get(timeout=_ANSWER_S)

    def publish_all(self, topics: list[str], retain: bool) -> set[str]:
        """Publishes without waiting between messages; returns the broker's answers."""
        for topic in topics:
            self._client.publish(topic, b"1", 1, retain)
        return {self._answers.get(timeout=_ANSWER_S) for _ in topics}

    @property
    def topics(self) -> list[str]:
        return [one.topic for one in list(self.heard)]

    def hears(self, topic: str) -> Heard:
        """The last message of that topic, after waiting for one."""
        self.until(lambda: topic in self.topics)
        return [one for one in self.heard if one.topic == topic][-1]

    def until[T](self, what: Callable[[], T]) -> T:
        return until(what, _ANSWER_S)

    @property
    def cut_off(self) -> bool:
        return not self._gone.empty()

    def drop(self) -> None:
        """Closes without a DISCONNECT: the broker publishes the will."""
        self._client.loop_stop()
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_client(self._client)


def context(pki: Pki, pair: Pair | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(pki.ca)
    if pair is not None:
        made.load_cert_chain(pair.certificate, pair.key)
    return made


_CONNECT = bytes.fromhex("101100044d5154540502003c000004") + b"floo"  # MQTT 5, clean start, 60 s, client id "floo"
CONNACK = 0x20


@dataclass(frozen=True)
class Answer:
    """`let_in`: the CONNACK accepted the client. `ticket`: TLS's, for the next connection; `by_ticket`: whether one was
    used.
    """

    let_in: bool
    ticket: ssl.SSLSession | None = None
    by_ticket: bool = False


def ask(port: int, tls: ssl.SSLContext, ticket: ssl.SSLSession | None = None) -> Answer:
    """The broker's answer to a CONNECT. Refused if it disconnects, in any way."""
    try:
        with (
            socket.create_connection((HOST, port), START_S) as plain,
            tls.wrap_socket(plain, server_hostname=HOST, session=ticket) as link,
        ):
            link.sendall(_CONNECT)
            return Answer(_is_yes(link.recv(4)), link.session, bool(link.session_reused))
    except (ssl.SSLError, ConnectionError):
        return Answer(False)


def is_let_in(port: int, tls: ssl.SSLContext) -> bool:
    return ask(port, tls).let_in


def is_let_in_plain(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), START_S) as link:
            link.sendall(_CONNECT)
            return _is_yes(link.recv(4))
    except ConnectionError:
        return False


def _is_yes(answer: bytes) -> bool:
    return len(answer) == 4 and answer[0] == CONNACK and answer[3] == 0
