# SPDX-License-Identifier: Apache-2.0
"""A plain HTTP server on the loopback, without authentication: for the desk's metrics and for our witness.

The number of simultaneous requests is limited; further ones are disconnected. TLS and remote access are a proxy's job.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from linetap_core.errors import BadInput


def address_of(text: str, where: str) -> tuple[str, int]:
    """Host and port. BadInput, beginning with `where`, if it is no loopback address."""
    host, _, port = text.rpartition(":")
    try:
        address, number = ipaddress.ip_address(host.strip("[]")), int(port)
    except ValueError:
        raise BadInput(f"{where}: 127.0.0.1:9464 expected") from None
    if not address.is_loopback or not 0 <= number <= 65_535:
        raise BadInput(f"{where}: only on the loopback; 127.0.0.1:9464 expected")
    return str(address), number


class LoopbackServer(ThreadingHTTPServer):
    timeout = 0.5  # of one turn, after which the caller checks whether to stop
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], most_at_once: int) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._free = threading.BoundedSemaphore(most_at_once)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Disconnects requests beyond `most_at_once`."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnects early is not logged."""
