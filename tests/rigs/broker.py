# SPDX-License-Identifier: Apache-2.0
"""A real Mosquitto on a free port of the loopback, which can be killed and restarted; and a desk subscribed to it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from linetap_bench.stage.servers import end_client, free_port
from linetap_core.clock import SYSTEM

START_S, END_S = 120.0, 120.0
HOST = "127.0.0.1"
MOSQUITTO_21 = Path(__file__).parents[2] / "build" / "mosquitto21"
PROGRAMS = {"2.0": Path("mosquitto"), "2.1": MOSQUITTO_21 / "mosquitto"}


def until[T](what: Callable[[], T], limit_s: float = 120.0, why: str | Callable[[], str] = "") -> T:
    """The first true result of `what`; AssertionError if there is none in time. `why`: the message, or what makes it
    after the limit.
    """
    end_ns = SYSTEM.monotonic_ns() + round(limit_s * 1e9)
    while not (answer := what()):
        if SYSTEM.monotonic_ns() >= end_ns:
            raise AssertionError(f"not within {limit_s} s: {(why() if callable(why) else why) or what}")
        SYSTEM.sleep(0.02)
    return answer


@dataclass
class Broker:
    """A broker, not running until started. `options`: further lines of its configuration; `saves`: at every change,
    instead of Mosquitto's default of every half hour.
    """

    folder: Path
    options: tuple[str, ...] = ()
    saves: bool = True
    port: int = field(default_factory=free_port)
    edition: str = "2.0"  # of PROGRAMS
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self.folder / "mosquitto.conf"
        conf.write_text(self._configuration())
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([str(PROGRAMS[self.edition]), "-c", str(conf)], stdout=log, stderr=log)
        until(self._listens, START_S, f"mosquitto does not listen: {self.folder}/mosquitto.log")
        return self

    def _configuration(self) -> str:
        user = "user root\n" if os.getuid() == 0 else ""
        return (
            f"listener {self.port} {HOST}\nallow_anonymous true\n{user}persistence true\n"
            f"persistence_location {self.folder}/\n"
            "max_queued_messages 300000\n"  # as shipped; the default of 1000 drops messages to a slow reader
            + ("autosave_on_changes true\nautosave_interval 1\n" if self.saves else "")
            + "".join(f"{line}\n" for line in self.options)
        )

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def kill(self) -> None:
        """kill -9: nothing is saved, no client is notified."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Sends SIGTERM every second until it ends: while Mosquitto starts its bridges it already listens but forgets a
        SIGTERM, because its main() sets `run = 1` afterwards.
        """
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            try:
                until(lambda: self._has_ended(how), END_S, f"mosquitto does not end: {self.folder}/mosquitto.log")
            except AssertionError:  # it has not saved its state
                self.process.kill()
                raise
            self.process = None

    def _has_ended(self, how: signal.Signals) -> bool:
        """Whether it ends, within a second."""
        assert self.process is not None
        self.process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        return self.process.returncode is not None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool
    properties: dict[str, Any]

    @property
    def user(self) -> dict[str, str]:
        return dict(self.properties.get("UserProperty", ()))


class Desk:
    """Receives all messages of all units; `heard` grows. Its session outlives its connection, like an ingest's."""

    def __init__(self, port: int, client_id: str = "desk", topics: str = "linetap/v1/#") -> None:
        self.heard: list[Heard] = []
        self._topics = topics
        self._subscribed: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.put(True)
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600
        self._client.connect(HOST, port, 5, clean_start=False, properties=session)
        self._client.loop_start()
        self._subscribed.get(timeout=START_S)

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(self._topics, 1)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        properties = {} if message.properties is None else vars(message.properties)
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain, properties))

    def publish(
        self, topic: str, payload: bytes, correlation: bytes | None = None, response: str = "", sig: str = ""
    ) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if correlation is not None:
            properties.CorrelationData = correlation
        if response:
            properties.ResponseTopic = response
        if sig:
            properties.UserProperty = [("sig", sig)]
        self._client.publish(topic, payload, 1, properties=properties)

    def of(self, topic: str) -> list[Heard]:
        """The messages whose topic ends with `topic`."""
        return [one for one in list(self.heard) if one.topic.endswith(topic)]

    def last(self, topic: str) -> Heard | None:
        found = self.of(topic)
        return found[-1] if found else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_client(self._client)


class MuteServer:
    """Accepts connections and never answers; counts them. `greeting` is sent to each client."""

    def __init__(self, greeting: bytes = b"") -> None:
        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._greeting = greeting
        self.taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
                self.taken.append(peer)
                peer.sendall(self._greeting)
            except OSError:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections; its port is free again."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # a close does not wake an accept
        while self._thread.is_alive():
            for peer in list(self.taken):
                with contextlib.suppress(OSError):
                    peer.shutdown(socket.SHUT_RDWR)  # a greeting that nobody reads
            self._thread.join(0.1)
        self._socket.close()
        for peer in self.taken:
            peer.close()
