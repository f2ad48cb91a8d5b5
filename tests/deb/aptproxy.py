# SPDX-License-Identifier: Apache-2.0
"""A proxy for the apt of a guest without a network, for GET over http only. It listens on the guest's loopback, fetches
from Debian's archive over the host's network, and keeps every package under build/ for the next run.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from urllib.parse import quote, urlsplit

PORT = 3142
_LIMIT_S = 120
_ARCHIVE = re.compile(r"[a-z0-9.-]+(:\d+)?")
_BLOCK = 1 << 16


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    kept: Path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _LIMIT_S

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        assert url.scheme == "http", self.path
        assert _ARCHIVE.fullmatch(url.netloc), self.path
        assert isinstance(self.server, _Server)
        kept = self.server.kept / quote(f"{url.netloc}{url.path}", safe="")
        if not kept.name.endswith(".deb"):
            self._fetch(url.netloc, url.path, None)
        elif kept.exists():
            self._head(200, {"Content-Length": str(kept.stat().st_size)})
            with kept.open("rb") as file:
                while block := file.read(_BLOCK):
                    self.wfile.write(block)
        else:
            self._fetch(url.netloc, url.path, kept)

    def _fetch(self, host: str, path: str, keep: Path | None) -> None:
        """Forwards apt's conditional headers, so that an index is sent only if newer; keeps complete packages."""
        asked = {name: value for name in ("If-Modified-Since", "Range", "If-Range") if (value := self.headers[name])}
        connection = http.client.HTTPConnection(host, timeout=_LIMIT_S)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={} if keep else asked)
            answer = connection.getresponse()
            data = answer.read()
        passed = {
            name: value for name in ("Last-Modified", "Content-Range", "Location") if (value := answer.getheader(name))
        }
        self._head(answer.status, {**passed, "Content-Length": str(len(data))})
        self.wfile.write(data)
        if keep is not None and answer.status == 200:
            fresh = keep.with_name(f".{threading.get_ident()}.new")
            fresh.write_bytes(data)
            fresh.rename(keep)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def proxy_for(pid: int, kept: Path) -> Iterator[None]:
    """Listens in the network namespace of this process until the block ends."""
    kept.mkdir(parents=True, exist_ok=True)
    made: list[socket.socket] = []
    thread = threading.Thread(target=_listen, args=(pid, made))  # a namespace belongs to a thread
    thread.start()
    thread.join(_LIMIT_S)
    (at,) = made
    with _Server(("127.0.0.1", 0), _Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket, server.kept = at, kept
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join(_LIMIT_S)


def _listen(pid: int, made: list[socket.socket]) -> None:
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.setns(fd, os.CLONE_NEWNET)
    finally:
        os.close(fd)
    made.append(socket.create_server(("127.0.0.1", PORT), backlog=32))
