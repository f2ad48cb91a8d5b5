# SPDX-License-Identifier: Apache-2.0
"""One MQTT 5 connection from the attempt to its end, in its own thread. An object is used once.

paho's own reconnecting is not used: it keeps unacknowledged messages in RAM, waits without jitter, and joins its thread
without a limit. Here a connection is independent of the previous one. Name look-up and TLS handshake may hang: no other
thread waits for the connection's thread.

A message is acknowledged after it has been handled, on the connection that delivered it: its id has no meaning on the
next one. The broker sends at most `receive_maximum` unacknowledged messages; a broker that sends more is disconnected.

`sweep`: retained messages are requested at QoS 0, by a second subscription that ends when the first one is active. The
shipped Mosquitto writes its whole memory to disk after each change, and an acknowledged message of QoS 1 is a change:
2,200 retained topics take 11 s that way, and 0.1 s at QoS 0. The order of the two subscriptions ensures that a later
message never arrives earlier (decision 0070).
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import LogLevel, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from linetap_core.broker.client import Client, properties_of
from linetap_core.wire.mqtt import Broker, Message

_LOOP_S = 1.0
_MOST_AT_ONCE = 64
_ALERT = re.compile(r"\balert ([a-z ]+[a-z])")  # RFC 8446, 6.2, as openssl spells it
_QOS = 1
_FILTERS_AT_ONCE = 10  # a broker that makes each durable gives no other answer meanwhile, even to a ping
_MOST_IN_FLIGHT = 65_535  # default of MQTT 5, 3.2.2.3.3
_NO_MID = -1  # for QoS 0
_TOO_MUCH = "the broker sends more than was agreed"


@dataclass(frozen=True, slots=True)
class Terms:
    """Our name, our subscriptions, and the broker's limits on our memory."""

    client_id: str
    topics: tuple[str, ...]
    receive_maximum: int  # unacknowledged publications that the broker may send
    largest_packet_bytes: int
    session_s: int = 0  # the broker keeps the session after a disconnection for this time; 0: sessions begin clean
    will: Message | None = None
    sweep: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    resumed: bool  # the broker had kept the session
    most_in_flight: int


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The broker refuses our subscription to that topic."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker has accepted the subscriptions: every message is received from now on. After a sweep all retained
    messages have arrived too: Mosquitto answers the second subscription when it has finished the first. Another broker
    may answer earlier.
    """


@dataclass(frozen=True, slots=True)
class Acknowledged:
    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A received message. `user`: the user properties, the first of each name. `retained`: published before our
    subscription. `expiry_s`: its remaining lifetime; None: unlimited.
    """

    connection: Connection
    mid: int
    topic: str
    payload: bytes
    user: Mapping[str, str]
    correlation: bytes | None
    retained: bool
    expiry_s: int | None

    def acknowledge(self) -> None:
        """Reports to the broker that the message was handled. No effect after the end of its connection."""
        self.connection.acknowledge(self.mid)


@dataclass(frozen=True, slots=True)
class Ended:
    why: str


Happening = Connected | SubscriptionRefused | Subscribed | Acknowledged | Arrived | Ended


class Connection:
    """One connection. It puts its events into `happenings`, with itself, in order; the last one is Ended."""

    def __init__(
        self,
        broker: Broker,
        terms: Terms,
        tls: ssl.SSLContext | None,
        happenings: queue.SimpleQueue[tuple[Connection, Happening]],
    ) -> None:
        self._broker, self._terms, self._happenings = broker, terms, happenings
        self._why = ""
        self._abandoned = self._accepted = False
        self._subscription: int | None = None  # message id of the unanswered subscription
        self._asked: tuple[str, ...] = ()  # its filters
        self._unasked = terms.topics
        self._refused: list[SubscriptionRefused] = []
        self._room = threading.BoundedSemaphore(terms.receive_maximum)  # for a sweep: QoS 0 has no window
        self._lock = threading.Lock()
        self._unacknowledged: set[int] = set()
        client = Client(terms.client_id, terms.largest_packet_bytes, reads_ahead=terms.sweep)
        client.max_inflight_messages = 0  # the publisher applies the broker's limit
        if (will := terms.will) is not None:
            client.will_set(will.topic, will.payload, _QOS, will.retain, properties_of(will, PacketTypes.WILLMESSAGE))
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_log = self._on_log
        client.on_socket_register_write = _write_in_network_thread
        self._client = client
        self._start()

    def publish(self, message: Message) -> int:
        """Sends a message and returns its id. After the end of the connection, reported by Ended, nothing is sent."""
        return self._client.publish(message.topic, message.payload, _QOS, message.retain, properties_of(message)).mid

    def acknowledge(self, mid: int) -> None:
        """Acknowledges a message, so that the broker may send the next."""
        if mid == _NO_MID:
            self._room.release()
            return
        with self._lock:
            if mid in self._unacknowledged:
                self._unacknowledged.discard(mid)
                self._client.ack(mid, _QOS)

    def disconnect(self, why: str = "") -> None:
        """Ends the connection with a DISCONNECT: the broker discards the will, and keeps the session as agreed."""
        self._why = why
        self._client.disconnect()

    def cut(self) -> None:
        """Closes at once, whatever the peer does: the broker publishes the will. A thread that still hangs in a look-up
        must not take over its successor's session later.
        """
        self._abandoned = True
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    # --- the thread ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        threading.Thread(target=self._run, name="mqtt", daemon=True).start()

    def _run(self) -> None:
        why = ""
        try:
            self._dial()
            while not self._abandoned:  # sends CONNECT in the first round
                answer = self._client.loop(0.0 if self._client.has_more else _LOOP_S)
                for _ in range(_MOST_AT_ONCE):  # publications wait until then
                    if answer != MQTTErrorCode.MQTT_ERR_SUCCESS or not self._client.has_more:
                        break
                    answer = self._client.loop_read()
                if answer != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    why = mqtt.error_string(answer)
                    break
        except OSError as error:
            why = error.strerror or str(error)
        except Exception as error:  # noqa: BLE001 - a hostile broker's packet can raise any exception in a parser
            why = f"{type(error).__name__}: {error}"
        finally:
            self._end(why)

    def _dial(self) -> None:
        """Opens the connection and queues CONNECT. OSError if the broker does not answer."""
        self._client.connect_async(
            self._broker.host, self._broker.port, self._broker.keepalive_s,
            clean_start=not self._terms.session_s, properties=_connect_properties(self._terms),
        )  # fmt: skip
        self._client.reconnect()

    def _end(self, why: str) -> None:
        with self._lock:
            self._unacknowledged.clear()
        client = self._client
        if (sock := client.socket()) is not None:
            sock.close()
        # Without a cycle of references paho's client goes with the connection, and with it the two sockets by which
        # paho wakes its thread; else they would stay open until a garbage collection.
        client.on_connect = client.on_disconnect = client.on_publish = client.on_subscribe = None
        client.on_message = client.on_log = None
        self._happenings.put((self, Ended(self._why or self._client.breach or why)))

    def _on_connect(self, _c: mqtt.Client, _u: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            self._why = f"refused: {reason}"
            return
        if self._accepted:
            self._break_off()
            return
        self._accepted = True
        self._client.on_log = None  # otherwise paho formats a line for each packet
        most = getattr(properties, "ReceiveMaximum", _MOST_IN_FLIGHT)
        # On each connection: the broker then sends its retained messages, and one that has lost its memory has our
        # subscriptions again. Before the connection is reported: the caller's first request must find its answer
        # subscribed.
        if self._terms.sweep:
            retained = [(_equivalent_filter(one), SubscribeOptions(0)) for one in self._terms.topics]
            self._client.subscribe(retained)
        if self._terms.topics:
            self._subscribe()
        self._happenings.put((self, Connected(bool(flags.session_present), most)))

    def _on_subscribe(self, _c: mqtt.Client, _u: Any, mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        if mid != self._subscription:
            return
        asked = zip(self._asked, reasons, strict=False)
        self._refused += [SubscriptionRefused(topic, str(reason)) for topic, reason in asked if reason.is_failure]
        if self._unasked:
            self._subscribe()
            return
        self._subscription = None
        self._happenings.put((self, Subscribed()))
        if self._terms.sweep:
            self._client.unsubscribe([_equivalent_filter(one) for one in self._terms.topics])
        for refused in self._refused:
            self._happenings.put((self, refused))

    def _subscribe(self) -> None:
        """Subscribes to some of the filters; the rest follow after the answer."""
        self._asked, self._unasked = self._unasked[:_FILTERS_AT_ONCE], self._unasked[_FILTERS_AT_ONCE:]
        handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
        if self._terms.sweep:
            handling = SubscribeOptions.RETAIN_DO_NOT_SEND
        options = SubscribeOptions(_QOS, retainHandling=handling)
        _, self._subscription = self._client.subscribe([(one, options) for one in self._asked])

    def _on_disconnect(self, _c: mqtt.Client, _u: Any, flags: Any, reason: ReasonCode, _p: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._why = f"the broker hung up: {reason}"

    def _on_publish(self, _c: mqtt.Client, _u: Any, mid: int, reason: ReasonCode, _p: Any) -> None:
        self._happenings.put((self, Acknowledged(mid, str(reason) if reason.is_failure else None)))

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        if message.qos != _QOS:
            if self._terms.sweep:
                self._queue_swept(message)
            return  # QoS 0 is neither acknowledged nor limited by a window
        mid = message.mid
        with self._lock:
            # paho applies no window to duplicates, which would be queued here each time.
            kept = mid not in self._unacknowledged and len(self._unacknowledged) < self._terms.receive_maximum
            if kept:
                self._unacknowledged.add(mid)
        if not kept:
            self._break_off()
            return
        self._put(message, mid)

    def _queue_swept(self, message: mqtt.MQTTMessage) -> None:
        """Queues a swept message. Stops reading while too many are queued: the rest waits in TCP and at the broker."""
        while not self._room.acquire(timeout=_LOOP_S):
            if self._abandoned:
                return
        self._put(message, _NO_MID)

    def _put(self, message: mqtt.MQTTMessage, mid: int) -> None:
        """Queues a message. A message with an unreadable topic is acknowledged and dropped: the broker need not repeat
        it."""
        try:
            arrived = self._arrived(message, mid)
        except UnicodeDecodeError:
            self.acknowledge(mid)
            return
        self._happenings.put((self, arrived))

    def _arrived(self, message: mqtt.MQTTMessage, mid: int) -> Arrived:
        properties = message.properties
        return Arrived(
            self, mid, message.topic, bytes(message.payload),
            user=dict(reversed(getattr(properties, "UserProperty", ()))),
            correlation=getattr(properties, "CorrelationData", None),
            retained=message.retain,
            expiry_s=getattr(properties, "MessageExpiryInterval", None),
        )  # fmt: skip

    def _on_log(self, _c: mqtt.Client, _u: Any, level: int, text: str) -> None:
        """Stores the reason of a refused certificate: with TLS 1.3 it follows the handshake, and only paho's log has
        it.
        """
        if level == LogLevel.MQTT_LOG_ERR and (alert := _ALERT.search(text)):
            self._why = f"TLS alert from the broker: {alert[1]}"

    def _break_off(self) -> None:
        self._why = _TOO_MUCH
        self.cut()


def _equivalent_filter(topic: str) -> str:
    """Another filter for the same topics, and for impossible ones: a broker merges equal filters into one."""
    return f"{topic}/#"


def _connect_properties(terms: Terms) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = terms.session_s
    properties.ReceiveMaximum = terms.receive_maximum
    properties.MaximumPacketSize = terms.largest_packet_bytes
    return properties


def _write_in_network_thread(_client: mqtt.Client, _userdata: Any, _sock: Any) -> None:
    """Leaves writing to the network thread. Without this callback paho writes from the publisher's thread too, and two
    writers would mix packets.
    """
