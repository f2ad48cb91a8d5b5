# SPDX-License-Identifier: Apache-2.0
"""The time limits of a whole HTTP exchange, which a server cannot extend by sending a byte at a time.

A socket's own time limit begins anew with each read. So the clock is read before and after each one: for each address
of the host, for TLS's handshake as a whole, in the answer's head and in its body. Only the resolver of names has limits
of its own.
"""

from __future__ import annotations

import io
import socket
import ssl
import urllib.request
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, cast

from linetap_core.clock import NS_PER_S, SYSTEM, Clock, ns_of

LEAST_BYTES, LEAST_S = 1 << 20, 600  # in each ten minutes of a large download; else another connection may be faster


class TooSlow(TimeoutError):
    """The exchange is over its time, or too slow; another attempt may be faster."""


class TooLarge(OSError):
    """The server has sent more than any answer has."""


class Limits:
    """The limits of one exchange. `end_ns`: its end (monotonic). `piece_s`: of the connection to an address, of the
    handshake, and of each piece. `large`: at least LEAST_BYTES must come in each LEAST_S. `most_bytes`: of all answers.
    """

    def __init__(
        self, clock: Clock, end_ns: int, piece_s: float, large: bool = False, most_bytes: int | None = None
    ) -> None:
        self._clock, self._end_ns, self._piece_s, self._large = clock, end_ns, piece_s, large
        self._since_ns, self._bytes, self._left_bytes = clock.monotonic_ns(), 0, most_bytes

    def begin(self, whole_s: float) -> None:
        """Begins another exchange."""
        self._since_ns, self._bytes = self._clock.monotonic_ns(), 0
        self._end_ns = self._since_ns + ns_of(whole_s)

    @classmethod
    def within(cls, whole_s: float, piece_s: float, large: bool = False, most_bytes: int | None = None) -> Limits:
        """The limits of an exchange that begins now, by the machine's clock."""
        return cls(SYSTEM, SYSTEM.monotonic_ns() + ns_of(whole_s), piece_s, large, most_bytes)

    @property
    def is_over(self) -> bool:
        return self._clock.monotonic_ns() >= self._end_ns

    def connection(
        self, host: str, port: int | None = None, *, context: ssl.SSLContext | None = None, **_: object
    ) -> HTTPConnection:
        """A connection, not yet open; with `context` by TLS. Other arguments of http.client are ignored."""
        made = HTTPConnection(host, port) if context is None else HTTPSConnection(host, port, context=context)
        made._create_connection = self.connect  # type: ignore[attr-defined]  # which http.client calls
        made.response_class = self._response  # type: ignore[assignment]
        return made

    def opener(self, context: ssl.SSLContext, *more: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
        """urllib's opener, with the proxies of the environment. A redirect is part of the same exchange."""
        return urllib.request.build_opener(_Http(self), _Https(self, context), *more)

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Replaces socket.create_connection, whose time limit begins anew with each address."""
        try:
            found = socket.getaddrinfo(*address, 0, socket.SOCK_STREAM)
        except ValueError:
            raise OSError(f"{address[0]!r} is no name of a host") from None
        fault = OSError(f"{address[0]} has no address")
        for family, kind, protocol, _name, place in found:
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(self._time_left_s())
                line.connect(place)
                line.settimeout(self._time_left_s())  # of the handshake
            except OSError as error:
                line.close()
                fault = error
            else:
                return line
        raise fault

    def reader(self, sock: socket.socket) -> io.BufferedReader:
        """Reads from a connected socket within the limits; for a server, whose clients may send slowly too."""
        return io.BufferedReader(_Timed(sock, self))

    def _response(self, sock: socket.socket, *args: Any, **more: Any) -> HTTPResponse:
        """Replaces http.client's HTTPResponse."""
        return HTTPResponse(cast(socket.socket, _Socket(sock, self)), *args, **more)

    def _time_left_s(self) -> float:
        """The time limit of the next piece. TooSlow if the whole time is over."""
        left_ns = self._end_ns - self._clock.monotonic_ns()
        if left_ns <= 0:
            raise TooSlow("the server did not send all of it in time")
        return min(self._piece_s, left_ns / NS_PER_S)

    def read_into(self, sock: socket.socket, file: io.RawIOBase, buffer: Any) -> int | None:
        """One read from the socket. TooSlow if a limit is exceeded."""
        sock.settimeout(self._time_left_s())
        try:
            size = file.readinto(buffer)
        except TimeoutError:
            self._count_received(0)
            raise
        self._count_received(size or 0)
        return size

    def _count_received(self, size: int) -> None:
        """Counts received bytes. TooSlow or TooLarge beyond a limit."""
        self._time_left_s()
        if self._left_bytes is not None:
            self._left_bytes -= size
            if self._left_bytes < 0:
                raise TooLarge("the server sent more than any answer has")
        now_ns = self._clock.monotonic_ns()
        self._bytes += size
        if self._large and now_ns - self._since_ns >= LEAST_S * NS_PER_S:
            if self._bytes < LEAST_BYTES:
                raise TooSlow(f"the server sent only {self._bytes} bytes in {LEAST_S} s")
            self._since_ns, self._bytes = now_ns, 0


class _Socket:
    """The part of a socket that HTTPResponse uses."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._sock, self._limits = sock, limits

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return self._limits.reader(self._sock)


class _Timed(io.RawIOBase):
    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._sock, self._file, self._limits = sock, sock.makefile("rb", buffering=0), limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._limits.read_into(self._sock, self._file, buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Http(urllib.request.HTTPHandler):
    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._limits.connection, request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, limits: Limits, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._limits, self._trust = limits, context

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._limits.connection, request, context=self._trust)
