# SPDX-License-Identifier: Apache-2.0
"""A proxy between reporter and broker that notes the sent and the acknowledged events. It can cancel a subscription on
an open connection.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self

from broker import HOST

_CONNECT, _PUBLISH, _PUBACK, _UNSUBACK = 1, 3, 4, 11
_NOBODYS_MID = b"\xff\xff"  # message id of the proxy's own packets
_FAILURE = 0x80


class Wire:
    """Listens on `port` and forwards all bytes both ways. `sent`, `acknowledged`: sequence numbers of events."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._brokers_end: socket.socket | None = None  # of the newest connection
        self.connections = 0
        self.forgotten = 0  # subscriptions that the broker has ended
        self.sent: list[int] = []
        self.acknowledged: list[int] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self._ends.append(near)
            try:
                far = socket.create_connection((HOST, self._broker_port), 5)
            except OSError:
                near.shutdown(socket.SHUT_RDWR)
                continue
            far.settimeout(None)
            self._ends.append(far)
            self._brokers_end = far
            flying: dict[bytes, int] = {}
            for source, sink, look in ((near, far, self._published), (far, near, self._acknowledged)):
                threading.Thread(target=_pump, args=(source, sink, look, flying), daemon=True).start()

    def _published(self, kind: int, body: bytes, flying: dict[bytes, int]) -> None:
        if kind == _CONNECT:
            self.connections += 1
        if kind != _PUBLISH:
            return
        at = 2 + int.from_bytes(body[:2])
        if not body[:at].endswith(b"/call"):
            return
        mid, rest = body[at : at + 2], body[at + 2 :]
        length, size = _varint(rest)
        flying[mid] = json.loads(rest[size + length :])["seq"]
        self.sent.append(flying[mid])

    def _acknowledged(self, kind: int, body: bytes, flying: dict[bytes, int]) -> None:
        if kind == _PUBACK and body[:2] in flying and (len(body) == 2 or body[2] < _FAILURE):
            self.acknowledged.append(flying.pop(body[:2]))
        if kind == _UNSUBACK and body[:2] == _NOBODYS_MID:
            self.forgotten += 1

    def forget(self, topic: str) -> None:
        """Cancels the subscription to this filter at the broker, unknown to the reporter."""
        body = _NOBODYS_MID + b"\0" + len(topic).to_bytes(2) + topic.encode()
        assert self._brokers_end is not None
        self._brokers_end.sendall(bytes([0xA2, len(body)]) + body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()  # which may have just accepted a client
        self._server.close()
        for end in self._ends:
            _hang_up(end)
            end.close()


def _pump(
    source: socket.socket,
    sink: socket.socket,
    look: Callable[[int, bytes, dict[bytes, int]], None],
    flying: dict[bytes, int],
) -> None:
    """Forwards bytes until one end closes the connection, then closes both. Notes packets before it forwards them."""
    data = b""
    with contextlib.suppress(OSError):
        while more := source.recv(65536):
            data += more
            whole = 0
            for kind, body, whole in _packets(data):  # noqa: B007 - used after the loop
                look(kind, body, flying)
            data = data[whole:]
            sink.sendall(more)
    _hang_up(source)
    _hang_up(sink)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _packets(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Kind, body and end of each whole packet."""
    at = 0
    while len(data) - at >= 2:
        length, size = _varint(data[at + 1 :])
        end = at + 1 + size + length
        if not size or end > len(data):
            return
        yield data[at] >> 4, data[at + 1 + size : end], end
        at = end


def _varint(data: bytes) -> tuple[int, int]:
    """MQTT's variable byte integer and the number of its bytes; 0 bytes when it is incomplete."""
    value = 0
    for i, byte in enumerate(data[:4]):
        value |= (byte & 0x7F) << (7 * i)
        if not byte & 0x80:
            return value, i + 1
    return 0, 0
