# SPDX-License-Identifier: Apache-2.0
"""A server of pages: what uvicorn is told whoever serves, and how it ends: at a signal, with status 0."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from asyncio import TimerHandle
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from linetap_desk.web.secure import MOST_BODY_BYTES

HEAD_S = 15.0
BODY_S = 15.0
TAKEN_S = 60.0  # what lies ready for a browser, half a megabyte at most, and is not read


class Bounded:
    """413 where the body is longer than MOST_BODY_BYTES, 408 where it takes longer than BODY_S."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        count, complete = 0, False
        ends_at = asyncio.get_running_loop().time() + BODY_S

        async def counted() -> Message:
            nonlocal count, complete
            try:
                # What comes after the body is that the browser has gone, for which a stream waits for hours.
                async with asyncio.timeout_at(None if complete else ends_at):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            complete = complete or not message.get("more_body", False)
            count += len(message.get("body", b""))
            if count > MOST_BODY_BYTES:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


class PunctualProtocol(H11Protocol):
    """Hangs up on who begins and has not said after HEAD_S what they want, and on who does not read what they asked
    for; between requests uvicorn has its limit."""

    _due: TimerHandle | None = None
    _unread: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._asks_nothing:
            self._wait()
        else:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
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
    def _asks_nothing(self) -> bool:
        """No request has begun, or the last one was answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(HEAD_S, self._hang_up)

    def _wait_no_more(self) -> None:
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
        """Without waiting until the rest is read; a session's place among the streams is free then."""
        self._unread = None
        self.transport.abort()


class EndsQuietly(uvicorn.Server):
    """uvicorn takes the signals for itself and raises them again at its end, so that a service that was told to end
    would seem to have died of it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """Without uvicorn's log of requests: a URL may have been typed with somebody's number in it."""
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


async def until_told(serving: EndsQuietly, at: socket.socket) -> None:
    """The second signal waits for nobody."""

    def told() -> None:
        serving.force_exit, serving.should_exit = serving.should_exit, True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)
    await serving.serve(sockets=[at])
