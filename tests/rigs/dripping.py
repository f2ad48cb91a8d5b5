# SPDX-License-Identifier: Apache-2.0
"""A server that sends a byte now and then: a client whose time limit begins anew with each byte waits for its end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

DRIPS, EVERY_S = 100, 0.1
TLS_HELLO = b"\x16\x03\x03\x40\x00"  # a record of 16 KiB begins
STATUS, HEAD, BODY = b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"
PLACES = [("http", STATUS), ("http", HEAD), ("http", BODY), ("https", TLS_HELLO)]
NAMES = ["status", "head", "body", "handshake"]


@contextlib.contextmanager
def dripping(first: bytes) -> Iterator[int]:
    """The port of a server that answers with these bytes, and then with one byte after another."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                line, _ = server.accept()
                with line:
                    line.recv(65536)
                    line.sendall(first)
                    for _ in range(DRIPS):
                        line.sendall(b"x")
                        if done.wait(EVERY_S):
                            return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # nobody may have connected
            thread.join()
