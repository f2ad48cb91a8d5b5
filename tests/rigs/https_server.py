# SPDX-License-Identifier: Apache-2.0
"""A server of bundles on the loopback that requires a unit's certificate, with faults of real networks and servers."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from pki_rig import Pair, Pki

HOST = "127.0.0.1"


class Answer:
    """The answer to one request: by default the bundle from the requested offset."""

    def __init__(
        self, status: int | None = None, cut_at: int | None = None, total: int | None = None, ranges: bool = True,
        begins: int | None = None, drips: str = "",
    ) -> None:  # fmt: skip
        """`drips`: "header" or "body" comes a byte at a time, until the other end hangs up."""
        self.status, self.cut_at, self.total, self.ranges, self.begins = status, cut_at, total, ranges, begins
        self.drips = drips


class Server:
    """`answers`: for the first requests in turn; then the bundle. `asked`: the Range of each."""

    def __init__(self, pki: Pki, pair: Pair, bundle: bytes) -> None:
        self.bundle, self.answers, self.asked = bundle, list[Answer](), list[str | None]()
        self.beside = dict[str, bytes]()  # by the end of a path: other files instead of the bundle
        self.paths = list[str]()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        context.load_verify_locations(pki.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self._server = Listening((HOST, 0), _handler(self))
        self._server.context = context
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Listening(ThreadingHTTPServer):
    """Handles each connection's TLS in its own thread, so that a refused client blocks no other."""

    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.context.wrap_socket(request, server_side=True) as safe:
            super().finish_request(safe, client_address)

    def handle_error(self, *_: object) -> None:
        """Ignores errors by refused or disconnected clients: the test decides whether they are expected."""


def _handler(server: Server) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = server.answers.pop(0) if server.answers else Answer()
            asked = self.headers.get("Range")
            server.asked.append(asked)
            server.paths.append(self.path)
            self.close_connection = True
            if answer.drips == "header":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
                self._drip(itertools.repeat(b"x"))
            if answer.status is not None:
                self.send_error(answer.status)
                return
            begins = int(asked.removeprefix("bytes=").rstrip("-")) if asked and answer.ranges else 0
            whole = next(
                (data for end, data in server.beside.items() if self.path.partition("?")[0].endswith(end)),
                server.bundle,
            )
            data = whole[begins:]
            self.send_response(206 if begins else 200)
            total = answer.total if answer.total is not None else len(whole)
            if begins:
                told = begins if answer.begins is None else answer.begins
                self.send_header("Content-Range", f"bytes {told}-{total - 1}/{total}")
            self.send_header("Content-Length", str(total - begins))
            self.end_headers()
            if answer.drips == "body":
                self._drip(data[n : n + 1] for n in range(len(data)))
            self.wfile.write(data if answer.cut_at is None else data[: answer.cut_at])

        def _drip(self, pieces: Iterable[bytes]) -> None:
            for piece in pieces:
                self.wfile.write(piece)
                time.sleep(0.002)

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    return Handler
