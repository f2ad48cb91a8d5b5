# SPDX-License-Identifier: Apache-2.0
"""A thousand connections in one thread. One thread each, as in a unit, would exceed select()'s 1,024 files.

Only look-up and TLS handshake, which block, run in a few further threads; all other work of a connection runs in
`turn`.
"""

from __future__ import annotations

import queue
import select
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

from linetap_core.broker.connection import Connection, Happening, Terms
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.wire.mqtt import Broker

DIALLING = 8
MISC_EVERY_S = 1  # interval of keep-alives
_AT_ONCE = 256


class Pool:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._dialling = ThreadPoolExecutor(DIALLING, "dial")
        self._dialled: queue.SimpleQueue[PooledConnection] = queue.SimpleQueue()
        self._standing: dict[int, PooledConnection] = {}  # by file descriptor
        self._misc_ns = 0
        self.writing: set[PooledConnection] = set()  # connections with output

    def dial(self, connection: PooledConnection) -> None:
        self._dialling.submit(self._dial, connection)

    def turn(self, timeout_s: float) -> set[str]:
        """Waits at most that long for the first event; returns the names of units with events."""
        active: set[str] = set()
        self._adopt()
        self._write()
        for fd, event in self._epoll.poll(timeout_s, _AT_ONCE):
            connection = self._standing[fd]
            active.add(connection.name)
            self._keep_open(fd, connection, connection.read() if event & ~select.EPOLLOUT else "")
            if event & select.EPOLLOUT:
                self.writing.add(connection)
        self._write()
        if (now_ns := self._clock.monotonic_ns()) >= self._misc_ns:
            self._misc_ns = now_ns + MISC_EVERY_S * NS_PER_S
            for fd, connection in list(self._standing.items()):
                self._keep_open(fd, connection, connection.misc())
        return active

    def close(self) -> None:
        """Closes every connection: nobody reads them any more, so none would notice that it was cut."""
        self._dialling.shutdown(cancel_futures=True)
        while not self._dialled.empty():
            self._dialled.get().finish("")
        for connection in self._standing.values():
            connection.finish("")
        self._standing.clear()
        self._epoll.close()

    def _dial(self, connection: PooledConnection) -> None:
        if connection.dialled():
            self._dialled.put(connection)

    def _adopt(self) -> None:
        while not self._dialled.empty():
            connection = self._dialled.get()
            fd = connection.fd()
            self._standing[fd] = connection
            self._epoll.register(fd, select.EPOLLIN)
            self.writing.add(connection)

    def _write(self) -> None:
        """Writes what the sockets accept and keeps the rest queued."""
        while self.writing:
            connection = self.writing.pop()
            fd = connection.fd()
            if self._standing.get(fd) is connection and self._keep_open(fd, connection, connection.write()):
                self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if connection.has_more else 0))

    def _keep_open(self, fd: int, connection: PooledConnection, why: str) -> bool:
        """Ends the connection if there is a reason `why`; returns whether it stays open."""
        if not why:
            return True
        del self._standing[fd]
        if connection.fd() == fd:
            self._epoll.unregister(fd)
        connection.finish(why)
        return False


class PooledConnection(Connection):
    """The connection of the unit `name`. Methods that can end it return the reason, or an empty text."""

    def __init__(
        self,
        pool: Pool,
        name: str,
        broker: Broker,
        terms: Terms,
        tls: ssl.SSLContext | None,
        happenings: queue.SimpleQueue[tuple[Connection, Happening]],
    ) -> None:
        self._pool, self.name = pool, name
        super().__init__(broker, terms, tls, happenings)

    def _start(self) -> None:
        self._client.on_socket_register_write = self._on_writable
        self._pool.dial(self)

    def dialled(self) -> bool:
        try:
            if not self._abandoned:
                self._dial()
                return True
            self._end("")
        except OSError as error:
            self._end(error.strerror or str(error))
        return False

    def fd(self) -> int:
        """The file descriptor; -1 if paho has closed it."""
        sock: Any = self._client.socket()
        return -1 if sock is None else int(sock.fileno())

    @property
    def has_more(self) -> bool:
        return self._client.want_write()

    def read(self) -> str:
        """Reads everything: epoll does not report bytes that TLS has already read from the socket."""
        while True:
            why = self._answer(self._client.loop_read())
            sock: Any = self._client.socket()
            if why or sock is None or not getattr(sock, "pending", int)():
                return why or ("" if sock is not None else "the connection was lost")

    def write(self) -> str:
        why = self._answer(self._client.loop_write())
        return why or ("" if self._client.socket() is not None else "the connection was closed")

    def misc(self) -> str:
        return self._answer(self._client.loop_misc())

    def finish(self, why: str) -> None:
        self._end(why)

    def _answer(self, code: MQTTErrorCode) -> str:
        return "" if code == MQTTErrorCode.MQTT_ERR_SUCCESS else mqtt.error_string(code)

    def _on_writable(self, _client: mqtt.Client, _userdata: Any, _sock: Any) -> None:
        self._pool.writing.add(self)
