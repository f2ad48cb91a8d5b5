# SPDX-License-Identifier: Apache-2.0
"""Time limits of a download that a server cannot extend by sending a byte at a time.

A socket's time limit begins anew with each byte. So the limits here are checked at each read from the socket, in the
answer's header and in its body; a read itself ends within the socket's own limit.
"""

from __future__ import annotations

import io
import socket
from http.client import HTTPResponse
from typing import Any, cast

from linetap_core.clock import NS_PER_S, Clock

LEAST_BYTES, LEAST_S = 1 << 20, 600  # in each ten minutes of a connection; else another one may be faster


class TooSlow(Exception):
    """The connection is over its time or too slow; another attempt may be faster."""


class Pace:
    """The limits of one connection. `end_ns`: end of all attempts (monotonic)."""

    def __init__(self, clock: Clock, end_ns: int) -> None:
        self._clock, self._end_ns = clock, end_ns
        self._since_ns, self._bytes = clock.monotonic_ns(), 0

    def response(self, sock: socket.socket, *args: Any, **more: Any) -> HTTPResponse:
        """Replaces http.client's HTTPResponse as HTTPConnection.response_class."""
        return HTTPResponse(cast(socket.socket, _Socket(sock, self)), *args, **more)

    def took(self, size: int) -> None:
        """Counts received bytes. TooSlow if a limit is exceeded."""
        now_ns = self._clock.monotonic_ns()
        self._bytes += size
        if now_ns >= self._end_ns:
            raise TooSlow("the server did not send all of it in time")
        if now_ns - self._since_ns >= LEAST_S * NS_PER_S:
            if self._bytes < LEAST_BYTES:
                raise TooSlow(f"the server sent only {self._bytes} bytes in {LEAST_S} s")
            self._since_ns, self._bytes = now_ns, 0


class _Socket:
    """The part of a socket that HTTPResponse uses."""

    def __init__(self, sock: socket.socket, pace: Pace) -> None:
        self._sock, self._pace = sock, pace

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_Counted(self._sock.makefile("rb", buffering=0), self._pace))


class _Counted(io.RawIOBase):
    def __init__(self, file: io.RawIOBase, pace: Pace) -> None:
        self._file, self._pace = file, pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        size = self._file.readinto(buffer)
        self._pace.took(size or 0)
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
