# SPDX-License-Identifier: Apache-2.0
"""A server of pages: what uvicorn is told whoever serves, and how it ends: at a signal, with status 0."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from linetap_desk.serve.limits import PunctualProtocol


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
