# SPDX-License-Identifier: Apache-2.0
"""`linetap desk metrics`: printed once, or served on the loopback. It only reads.

Plain HTTP and nobody is asked who they are, so on the loopback alone: from elsewhere by node_exporter's textfile
collector, or a proxy that has TLS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import Clock
from linetap_core.errors import BadInput
from linetap_core.service import Stop
from linetap_desk.ingest import database, metrics
from linetap_desk.loopback import LoopbackServer, address_of

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_AT_ONCE = 4
REQUEST_S = 5  # without a byte from whoever asks


def run(args: argparse.Namespace, clock: Clock) -> int:
    """0. BadInput for a database that cannot be read, and an address that is none or not of the loopback."""
    address = None if args.listen is None else address_of(args.listen, f"--listen {args.listen}")
    engine = database.open_reader(args.db)
    try:
        now = _read(engine, clock)
        if address is None:
            sys.stdout.write(now)
        else:
            _serve(address, lambda: _read(engine, clock))
    except SQLAlchemyError as error:
        raise BadInput(f"--db: {database.reason(error)}") from None
    finally:
        engine.dispose()
    return 0


def _read(engine: Engine, clock: Clock) -> str:
    with engine.connect() as db:
        return metrics.text(db, clock.utc_ns())


def _serve(address: tuple[str, int], read: Callable[[], str]) -> None:
    stop = Stop()
    try:
        server = Server(address, read)
    except OSError as error:
        raise BadInput(f"--listen {address[0]}:{address[1]}: {error.strerror}") from None
    with server:
        host, port = server.server_address[:2]
        sys.stderr.write(f"http://{host!s}:{port}/metrics\n")
        sys.stderr.flush()
        while not stop.requested:
            server.handle_request()


class Server(LoopbackServer):
    def __init__(self, address: tuple[str, int], read: Callable[[], str]) -> None:
        """`read`: the exposition; SQLAlchemyError is answered with 503."""
        self.read = read
        super().__init__(address, Handler, MOST_AT_ONCE)


class Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_S
    server: Server

    def do_GET(self) -> None:
        if self.path != "/metrics":
            self.send_error(404)
            return
        try:
            body = self.server.read().encode()
        except SQLAlchemyError as error:
            self.send_error(503, database.reason(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Every scrape a line would be all that the log has."""
