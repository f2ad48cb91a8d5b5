# SPDX-License-Identifier: Apache-2.0
"""paho's client, limited to the agreement with the broker, and the MQTT 5 properties of a message.

paho announces the largest packet that it accepts, but then accepts any up to 256 MB. It answers every packet that
requires an answer, and queues the answers for a broker that does not read them. A packet can be checked before it is in
memory only in `_sock_recv`, which is not part of paho's API: tests/broker fails if a later paho does not call it.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt import properties as paho_properties
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from linetap_core.errors import BadInput
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.service import credential
from linetap_core.wire.mqtt import CONTENT_TYPE, Broker, Message

SCHEMA_VERSION = "1"
_UTF8 = 1  # payload format indicator


def _read_text(buffer: bytes, most_bytes: int) -> tuple[str, int]:
    """A text of a received property, and its length in the packet. ValueError if it is longer than the packet.

    paho's own function refuses a text that contains U+FEFF, which MQTT 5 permits (1.5.4-3), and brokers pass on what
    their publishers send. One message of one publisher would end each connection of its reader: the broker delivers it
    again.
    """
    size = int.from_bytes(buffer[:2])
    if most_bytes < 2 or size > most_bytes - 2:
        raise ValueError("a text longer than its packet")
    return bytes(buffer[2 : 2 + size]).decode("utf-8", "replace"), size + 2


paho_properties.readUTF = _read_text


def properties_of(message: Message, packet: int = PacketTypes.PUBLISH) -> Properties:
    """The properties for a packet of this kind: a publication or a will."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    if not message.payload:
        return properties
    if message.content_type == CONTENT_TYPE:
        properties.PayloadFormatIndicator = _UTF8
    properties.ContentType = message.content_type
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    pairs = [("schema", SCHEMA_VERSION), *message.more]
    if message.sig is not None:
        pairs.append(("sig", unarmored(message.sig)))
    properties.UserProperty = pairs
    return properties


# First bytes: CONNACK, PUBLISH of QoS 0 and 1 (with and without DUP and RETAIN), PUBACK, SUBACK, UNSUBACK,
# PINGRESP, DISCONNECT.
_EXPECTED = frozenset((0x20, 0x30, 0x31, 0x32, 0x33, 0x3A, 0x3B, 0x40, 0x90, 0xB0, 0xD0, 0xE0))
_AHEAD_BYTES = 16 << 10
MOST_UNSENT = 1000  # packets queued for a broker that does not read; each acknowledgement is one


class Client(mqtt.Client):
    """A client that closes the connection at the broker's first violation of the agreement, and keeps it in `breach`.

    `reads_ahead`: paho calls the kernel, or TLS, three times for each packet, which is half of the time for thousands
    of packets. With it the reader must also check `has_more`, since select(2) does not see buffered bytes.
    """

    def __init__(self, client_id: str, largest_packet_bytes: int, reads_ahead: bool = False) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._largest_packet_bytes = largest_packet_bytes
        self._reads_ahead, self._ahead, self._at = reads_ahead, b"", 0
        self.breach = ""

    @property
    def has_more(self) -> bool:
        """Whether unhandled bytes are buffered."""
        return self._at < len(self._ahead)

    def _sock_recv(self, bufsize: int) -> bytes:
        kind = self._in_packet["command"]
        if kind and kind not in _EXPECTED:
            self.breach = f"the broker sent an unrequested packet, which begins with 0x{kind:02x}"
        elif self._in_packet["remaining_length"] > self._largest_packet_bytes:
            self.breach = f"the broker sends more than was agreed: a packet of over {self._largest_packet_bytes} bytes"
        elif len(self._out_packet) > MOST_UNSENT:
            self.breach = "the broker does not read the answers that it requests"
        if self.breach:
            raise ConnectionError(self.breach)
        return self._from_ahead(bufsize) if self._reads_ahead else super()._sock_recv(bufsize)

    def _from_ahead(self, bufsize: int) -> bytes:
        if self._at == len(self._ahead):
            self._ahead, self._at = self._received_bytes(), 0
        taken = self._ahead[self._at : self._at + bufsize]
        self._at += len(taken)
        return taken

    def _received_bytes(self) -> bytes:
        """Received bytes: TLS returns one record at a time, and Mosquitto sends one for each packet. BlockingIOError if
        none. An error after received bytes is raised by the next read, since a broker's last packet gives the reason.
        """
        came = super()._sock_recv(_AHEAD_BYTES)
        with contextlib.suppress(OSError):
            while came and len(came) < _AHEAD_BYTES and (more := super()._sock_recv(_AHEAD_BYTES)):
                came += more
        return came


# --- TLS to the broker, configured by the table `broker`
# ---------------------------------------------------------------


class _TlsSocket(ssl.SSLSocket):
    """A socket that is closed if its handshake fails; paho leaves it open as long as anything refers to the error."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class CertificateAwaited(BadInput):
    """The certificate does not exist yet: the authority has the request, and may take days."""


def tls_context(broker: Broker) -> ssl.SSLContext | None:
    """TLS 1.3 with a checked host name; None without `broker.ca`. BadInput for unusable files, CertificateAwaited for a
    missing certificate.
    """
    if broker.ca is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.sslsocket_class = _TlsSocket
    named = ("broker.ca", broker.ca)
    try:
        context.load_verify_locations(broker.ca)
        if broker.certificate is not None:
            named = ("broker.certificate and broker.key", f"{broker.certificate} {broker.key or ''}".strip())
            key = credential(Path(broker.key)) if broker.key else None
            context.load_cert_chain(broker.certificate, key, password=_no_password)
    except OSError as error:
        why = error.strerror if error.errno and not isinstance(error, ssl.SSLError) else "PEM expected"
        gone = isinstance(error, FileNotFoundError) and named[0] != "broker.ca"
        kind = CertificateAwaited if gone and not Path(str(broker.certificate)).exists() else BadInput
        raise kind(f"{named[1]}: {named[0]} cannot be used: {why}") from None
    return context


def _no_password() -> str:
    raise BadInput("broker.key has a passphrase: a service starts unattended")
