# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of pages: uvicorn, with limits on the size and duration of requests, and a clean exit on signals.

uvicorn itself has no such limits: a few hundred connections that send or read one byte a minute would block all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import sys
import threading
from asyncio import TimerHandle
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

import uvicorn
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from linetap_core.errors import BadInput
from linetap_core.httplimits import Limits
from linetap_desk.web.secure import MOST_BODY_BYTES

HEAD_S = 15.0
BODY_S = 15.0
TAKEN_S = 60.0  # until a browser has read the available data, at most half a megabyte


class BoundedBodies:
    """The middleware that bounds request bodies: 413 if one exceeds MOST_BODY_BYTES, or its path's limit in `larger`;
    408 if it takes longer than BODY_S."""

    def __init__(self, app: ASGIApp, larger: Mapping[str, int] = MappingProxyType({})) -> None:
        self._app, self._larger = app, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        count, complete = 0, False
        most_bytes = self._larger.get(scope.get("path", ""), MOST_BODY_BYTES)
        ends_at = asyncio.get_running_loop().time() + BODY_S

        async def counted() -> Message:
            nonlocal count, complete
            try:
                # After the body only the disconnect follows, for which a stream waits for hours.
                async with asyncio.timeout_at(None if complete else ends_at):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            complete = complete or not message.get("more_body", False)
            count += len(message.get("body", b""))
            if count > most_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


class PunctualProtocol(H11Protocol):
    """Closes connections that send no complete request head within HEAD_S, and aborts those that do not read a response
    within TAKEN_S. Between requests uvicorn has its own limit."""

    _due: TimerHandle | None = None
    _unread: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_between_requests:
            self._wait()
        else:
            self._cancel_limit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_limit()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(TAKEN_S, self._drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_read()

    @property
    def _is_between_requests(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(HEAD_S, self._hang_up)

    def _cancel_limit(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _hang_up(self) -> None:
        self._due = None
        self.transport.close()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _drop(self) -> None:
        """Aborts without waiting for unread data, which frees the session's place among the streams."""
        self._unread = None
        self.transport.abort()


class EndsQuietly(uvicorn.Server):
    """Handles signals itself: uvicorn raises them again at its end, so that a stopped service would appear to have been
    killed. And aborts the connections that are still open at the end of its patience: uvicorn cancels tasks only, and
    a client that does not answer the end of TLS has none."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for server in self.servers:
            server.abort_clients()
        await asyncio.sleep(0)  # the loop closes their sockets in its next turn


def config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """uvicorn's configuration, without its log of requests: a typed URL may contain a telephone number."""
    return uvicorn.Config(
        app,
        http=PunctualProtocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **more,
    )


async def serve_until_signal(serving: EndsQuietly, at: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT. A second signal ends it at once."""

    def stop() -> None:
        serving.force_exit, serving.should_exit = serving.should_exit, True

    loop = asyncio.get_running_loop()
    if sys.platform == "win32":  # its loops support no handlers
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGBREAK):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
    else:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
    await serving.serve(sockets=[at])


# --- A plain HTTP server on the loopback, without authentication: for the desk's metrics and for our witness ----------
# The number of simultaneous requests is limited; further ones are disconnected. TLS and remote access are a proxy's
# job.


def loopback_address(text: str, where: str) -> tuple[str, int]:
    """Host and port. BadInput, beginning with `where`, unless the address is a loopback address."""
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
        """Does not log a client that disconnects early."""


REQUEST_S = 30.0


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answers a request that arrives within REQUEST_S: a few clients that send a byte now and then would otherwise take
    all places."""

    timeout = 10.0  # of a piece

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = Limits.within(REQUEST_S, self.timeout).reader(self.connection)

    def log_message(self, *_: Any) -> None:
        """Requests are not logged."""
