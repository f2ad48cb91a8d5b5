# SPDX-License-Identifier: Apache-2.0
"""A proxy before a well-behaved broker that attacks its clients on request."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import Self

from broker import HOST

ACCEPTED = bytes.fromhex("2003000000")  # CONNACK
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Attack:
    """The bytes for each client: `first`, then `flood` until the client disconnects, or this many bytes are sent. Then
    the proxy disconnects, or with `holds` waits for the client to do so. Meanwhile only the CONNECT is read.
    """

    first: bytes = b""
    flood: bytes = b""
    most_bytes: int = 40 << 20
    holds: bool = False


class Hostile:
    """Listens on `port`; without an attack it relays between clients and broker. `done` counts attacks."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self._attack: Attack | None = None
        self._ends: list[socket.socket] = []
        self.done = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def attacks(self, attack: Attack | None) -> None:
        """Sets the attack from now on; None: no attack. Present clients are disconnected."""
        self._attack, self.done = attack, 0
        for end in self._ends:
            _hang_up(end)
        self._ends.clear()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self._ends.append(near)
            attack = self._attack
            if attack is not None:
                threading.Thread(target=self._strike, args=(near, attack), daemon=True).start()
                continue
            far = socket.create_connection((HOST, self._broker_port), 5)
            far.settimeout(None)
            self._ends.append(far)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    def _strike(self, peer: socket.socket, attack: Attack) -> None:
        with contextlib.suppress(OSError):
            peer.recv(_AT_ONCE)
            peer.sendall(attack.first)
            for _ in range(attack.most_bytes // len(attack.flood) if attack.flood else 0):
                peer.sendall(attack.flood)
            while attack.holds and peer.recv(_AT_ONCE):
                pass
        self.done += 1
        _hang_up(peer)
        peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _hang_up(self._server)
        self._thread.join()  # which may have just accepted a client
        self._server.close()
        self.attacks(None)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_AT_ONCE):
            sink.sendall(data)
    _hang_up(source)
    _hang_up(sink)
    source.close()  # the other thread has the sink


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
