# SPDX-License-Identifier: Apache-2.0
"""A line of limited rate between a unit and its broker: a slow proxy on the loopback.

Its buffer is small, like a modem's, so that data waits at the sender.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from linetap_bench.stage.servers import HOST
from linetap_core.clock import NS_PER_S, SYSTEM

_PIECE_BYTES = 4096
_BUFFER_BYTES = 16 << 10


class SlowLine:
    """A line that listens on `port` for clients of the broker."""

    def __init__(self, broker_port: int, kbit_s: int) -> None:
        self._broker_port, self._byte_s = broker_port, kbit_s * 125
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)  # inherited by accepted connections
        self._server.bind((HOST, 0))
        self._server.listen()
        self.port: int = self._server.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()  # which may have just accepted a client
        for end in (self._server, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((HOST, self._broker_port), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._ends += [near, far]
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        free_ns = 0  # when the line will have transmitted all data sent so far
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE_BYTES):
                now_ns = SYSTEM.monotonic_ns()
                free_ns = max(free_ns, now_ns) + len(data) * NS_PER_S // self._byte_s
                SYSTEM.sleep((free_ns - now_ns) / NS_PER_S)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
