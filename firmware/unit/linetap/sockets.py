# SPDX-License-Identifier: Apache-2.0
"""The Unix seqpacket socket of a service: a message is a packet, and the kernel reports the peer's uid."""

from __future__ import annotations

import contextlib
import os
import pwd
import selectors
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from linetap_core import rundir
from linetap_core.errors import DeviceFault

MAX_MESSAGE = 4096
MAX_PEERS = 8


class Listener:
    """The service's end. Owner, root and the named users may connect; others are disconnected."""

    def __init__(self, path: Path, *users: str) -> None:
        self._path = path
        self._allowed = {0, os.getuid(), *_uids(users)}
        with contextlib.suppress(FileNotFoundError):
            rundir.make(path.parent)
            path.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        path.chmod(0o660)
        self._socket.listen(MAX_PEERS)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)

    def fileno(self) -> int:
        """The descriptor, readable when there is work, for a loop that also polls others."""
        return self._selector.fileno()

    def poll(self, timeout_s: float = 0.0) -> Iterator[tuple[socket.socket, bytes]]:
        """Yields the available messages, each with the socket for its answer; waits up to `timeout_s` for the first."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._socket:
                self._accept()
                continue
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            try:
                data = peer.recv(MAX_MESSAGE)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                data = b""
            if data:
                yield peer, data
            else:
                self._drop(peer)

    def _accept(self) -> None:
        peer, _ = self._socket.accept()
        peer.setblocking(False)
        if _peer_uid(peer) not in self._allowed or len(self._selector.get_map()) > MAX_PEERS:
            peer.close()
            return
        self._selector.register(peer, selectors.EVENT_READ)

    def _drop(self, peer: socket.socket) -> None:
        self._selector.unregister(peer)
        peer.close()

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


class SocketClient:
    """The client's end: connects at the first message, and again after a restart of the service; never waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, message: bytes) -> None:
        """Sends a message. DeviceFault `peer_absent` if no one receives it, after one reconnection."""
        for attempt in (1, 2):
            try:
                self._connected().send(message)
            except OSError as error:
                self.close()
                if attempt == 2:
                    raise DeviceFault("peer_absent", f"{self._path}: {error.strerror}") from error
            else:
                return

    def answers(self) -> list[bytes]:
        """The answers since the last call; empty if there are none or the service is absent."""
        found: list[bytes] = []
        while self._socket is not None and len(found) < MAX_PEERS:
            try:
                data = self._socket.recv(MAX_MESSAGE)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            if not data:
                self.close()
                break
            found.append(data)
        return found

    def _connected(self) -> socket.socket:
        if self._socket is None:
            fresh = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
            try:
                fresh.connect(str(self._path))
            except OSError:
                fresh.close()
                raise
            self._socket = fresh
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _uids(users: Iterable[str]) -> Iterator[int]:
    for user in users:
        with contextlib.suppress(KeyError):  # services have no separate users on this machine
            yield pwd.getpwnam(user).pw_uid


def _peer_uid(peer: socket.socket) -> int:
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
