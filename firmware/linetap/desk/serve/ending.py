# SPDX-License-Identifier: Apache-2.0
"""How a server of pages ends: at a signal, with status 0."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn


class EndsQuietly(uvicorn.Server):
    """uvicorn takes the signals for itself and raises them again at its end, so that a service that was told to end
    would seem to have died of it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def until_told(serving: EndsQuietly, at: socket.socket) -> None:
    """The second signal waits for nobody."""

    def told() -> None:
        serving.force_exit, serving.should_exit = serving.should_exit, True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)
    await serving.serve(sockets=[at])
