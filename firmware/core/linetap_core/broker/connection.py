# SPDX-License-Identifier: Apache-2.0
"""One MQTT 5 connection from the attempt to its end, in a thread of its own. It is used once.

paho's own reconnecting is not used: it keeps unacknowledged messages in RAM, waits without jitter, and joins its
thread without limit. Here a connection knows nothing of the one before. Name look-up and TLS handshake can hang for as
long as they like: nobody waits for this thread.

What comes is acknowledged by whoever is done with it, on the connection that it came on: a message id means nothing on
the next one. The broker holds back what is more than `receive_maximum` unacknowledged; one that does not is cut.

`sweep`: what the broker has retained is asked for at QoS 0, by a subscription of its own that ends when the one for
what comes stands. As shipped, Mosquitto writes all that it knows to its disk after each change, and to it a message of
QoS 1 that was acknowledged is one: of 2,200 retained topics that takes 11 s, at QoS 0 0.1 s. First the one subscription
and then the other: a later word never comes earlier (decision 0070).
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
_ALERT = re.compile(r"\balert ([a-z ]+[a-z])")  # RFC 8446, 6.2, in openssl's words
_QOS = 1
_MOST_IN_FLIGHT = 65_535  # when the broker names none (MQTT 5, 3.2.2.3.3)
_NO_MID = -1  # of QoS 0
_TOO_MUCH = "the broker sends more than was agreed"


@dataclass(frozen=True, slots=True)
class Terms:
    """Who we are, what we read, and what the broker may do to our memory meanwhile."""

    client_id: str
    topics: tuple[str, ...]
    receive_maximum: int  # publications that it may send before the first is acknowledged
    largest_packet_bytes: int
    session_s: int = 0  # that the broker keeps the session for when we are away; 0: each begins clean
    will: Message | None = None
    sweep: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    resumed: bool  # the broker had kept the session
    most_in_flight: int


@dataclass(frozen=True, slots=True)
class Unread:
    """The broker does not let us read that topic."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker has answered: what anybody says from now on is heard. In a sweep everything retained is here too:
    Mosquitto answers the second subscription when it has done with the first. Another broker may be quicker."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Arrived:
    """`user`: the user properties; of two with one name the first. `retained`: said before we asked. `expiry_s`: so
    much longer it is worth something, None: for ever."""

    connection: Connection
    mid: int
    topic: str
    payload: bytes
    user: Mapping[str, str]
    correlation: bytes | None
    retained: bool
    expiry_s: int | None

    def acknowledge(self) -> None:
        """It is done with. Nothing happens where its connection has ended."""
        self.connection.acknowledge(self.mid)


@dataclass(frozen=True, slots=True)
class Ended:
    why: str


Happening = Connected | Unread | Subscribed | Acknowledged | Arrived | Ended


class Connection:
    """What happens to it is put into `happenings`, with itself, in order; the last is Ended."""

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
        self._subscription: int | None = None  # message id, until it is answered
        self._room = threading.BoundedSemaphore(terms.receive_maximum)  # of a sweep: no window of MQTT's holds it back
        self._lock = threading.Lock()
        self._unacknowledged: set[int] = set()
        client = Client(terms.client_id, terms.largest_packet_bytes, reads_ahead=terms.sweep)
        client.max_inflight_messages = 0  # whoever publishes counts, by what the broker allows
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
        client.on_socket_register_write = _written_by_the_thread
        self._client = client
        self._start()

    def publish(self, message: Message) -> int:
        """Its message id. Nothing is sent where the connection has ended, which is told by Ended."""
        return self._client.publish(message.topic, message.payload, _QOS, message.retain, properties_of(message)).mid

    def acknowledge(self, mid: int) -> None:
        """The broker may send the next."""
        if mid == _NO_MID:
            self._room.release()
            return
        with self._lock:
            if mid in self._unacknowledged:
                self._unacknowledged.discard(mid)
                self._client.ack(mid, _QOS)

    def disconnect(self) -> None:
        """In good order: the broker forgets the will, and keeps the session for as long as was agreed."""
        self._client.disconnect()

    def cut(self) -> None:
        """At once, whatever the peer does or does not do: the broker publishes the will. A thread that still hangs in
        a look-up must not take the broker from its successor when it comes back."""
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
            while not self._abandoned:  # CONNECT leaves in the first round, not before
                answer = self._client.loop(0.0 if self._client.has_more else _LOOP_S)
                for _ in range(_MOST_AT_ONCE):  # what is to be sent waits meanwhile
                    if answer != MQTTErrorCode.MQTT_ERR_SUCCESS or not self._client.has_more:
                        break
                    answer = self._client.loop_read()
                if answer != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    why = mqtt.error_string(answer)
                    break
        except OSError as error:
            why = error.strerror or str(error)
        except Exception as error:  # noqa: BLE001 - what a hostile broker's packet can raise in a parser is not known
            why = f"{type(error).__name__}: {error}"
        finally:
            self._end(why)

    def _dial(self) -> None:
        """OSError where nobody answers. CONNECT is in the queue then."""
        self._client.connect_async(
            self._broker.host, self._broker.port, self._broker.keepalive_s,
            clean_start=not self._terms.session_s, properties=_said_at_connect(self._terms),
        )  # fmt: skip
        self._client.reconnect()

    def _end(self, why: str) -> None:
        with self._lock:
            self._unacknowledged.clear()
        if (sock := self._client.socket()) is not None:
            sock.close()
        self._happenings.put((self, Ended(self._why or self._client.breach or why)))

    def _on_connect(self, _c: mqtt.Client, _u: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            self._why = f"refused: {reason}"
            return
        if self._accepted:
            self._break_off()
            return
        self._accepted = True
        self._client.on_log = None  # paho writes a line of each packet for it
        most = getattr(properties, "ReceiveMaximum", _MOST_IN_FLIGHT)
        # Each time: the broker then tells what it has retained, and a broker that has lost its memory knows us again.
        # Before anybody hears of it: who asks for something reads by then what will be answered.
        handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
        if self._terms.sweep:
            handling = SubscribeOptions.RETAIN_DO_NOT_SEND
            retained = [(_the_same(one), SubscribeOptions(0)) for one in self._terms.topics]
            self._client.subscribe(retained)
        options = SubscribeOptions(_QOS, retainHandling=handling)
        _, self._subscription = self._client.subscribe([(one, options) for one in self._terms.topics])
        self._happenings.put((self, Connected(bool(flags.session_present), most)))

    def _on_subscribe(self, _c: mqtt.Client, _u: Any, mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        if mid != self._subscription:
            return
        self._subscription = None
        self._happenings.put((self, Subscribed()))
        if self._terms.sweep:
            self._client.unsubscribe([_the_same(one) for one in self._terms.topics])
        for topic, reason in zip(self._terms.topics, reasons, strict=False):
            if reason.is_failure:
                self._happenings.put((self, Unread(topic, str(reason))))

    def _on_disconnect(self, _c: mqtt.Client, _u: Any, flags: Any, reason: ReasonCode, _p: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._why = f"the broker hung up: {reason}"

    def _on_publish(self, _c: mqtt.Client, _u: Any, mid: int, reason: ReasonCode, _p: Any) -> None:
        self._happenings.put((self, Acknowledged(mid, str(reason) if reason.is_failure else None)))

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        if message.qos != _QOS:
            if self._terms.sweep:
                self._take_swept(message)
            return  # else: nobody promises anything with it, and no window holds it back
        mid = message.mid
        with self._lock:
            # The same again is no window's matter to paho, and would wait here as often as it comes.
            kept = mid not in self._unacknowledged and len(self._unacknowledged) < self._terms.receive_maximum
            if kept:
                self._unacknowledged.add(mid)
        if not kept:
            self._break_off()
            return
        self._happenings.put((self, self._arrived(message, mid)))

    def _take_swept(self, message: mqtt.MQTTMessage) -> None:
        """Not read on while too much waits here: the rest waits in TCP and at the broker."""
        while not self._room.acquire(timeout=_LOOP_S):
            if self._abandoned:
                return
        self._happenings.put((self, self._arrived(message, _NO_MID)))

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
        """With TLS 1.3 a broker refuses a certificate after the handshake, and paho tells why nowhere else."""
        if level == LogLevel.MQTT_LOG_ERR and (alert := _ALERT.search(text)):
            self._why = f"the broker says: {alert[1]}"

    def _break_off(self) -> None:
        self._why = _TOO_MUCH
        self.cut()


def _the_same(topic: str) -> str:
    """Another filter for the same topics, and for some that nobody has: with the same one a broker has one
    subscription, and not two."""
    return f"{topic}/#"


def _said_at_connect(terms: Terms) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = terms.session_s
    properties.ReceiveMaximum = terms.receive_maximum
    properties.MaximumPacketSize = terms.largest_packet_bytes
    return properties


def _written_by_the_thread(_client: mqtt.Client, _userdata: Any, _sock: Any) -> None:
    """paho writes from whoever publishes unless somebody has asked to be told; two writers would mix packets."""
