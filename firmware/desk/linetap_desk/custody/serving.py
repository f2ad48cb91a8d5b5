# SPDX-License-Identifier: Apache-2.0
"""Serves a helper's pages on the loopback, until its button, a signal, or the idle time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from linetap_core import system
from linetap_core.errors import BadInput
from linetap_desk.custody.site import Helper
from linetap_desk.web.server import EndsQuietly, config, serve_until_signal

HOST = "127.0.0.1"
_MOST_AT_ONCE = 20


@contextlib.contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as at:
        if sys.platform == "win32":  # otherwise another program of this person may take the same port as well
            at.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        try:
            at.bind((HOST, port))
        except OSError as error:
            raise BadInput(f"--port {port}: {error.strerror}") from None
        at.listen(_MOST_AT_ONCE)
        yield at


def url_of(at: socket.socket) -> str:
    return f"http://{HOST}:{at.getsockname()[1]}"


def print_address(site: Helper) -> None:
    """Prints address and code on the terminal or the console window, which only the person at this machine reads."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    system.leave_no_core()
    sys.stderr.write(f"{site.url}/\ncode: {site.admission.code}\n")
    sys.stderr.flush()


def serve(site: Helper, app: Starlette, at: socket.socket) -> None:
    asyncio.run(serve_until_signal(server(site, app), at))


def server(site: Helper, app: Starlette) -> EndsQuietly:
    serving = _Server(config(app, lifespan="off", limit_concurrency=_MOST_AT_ONCE, timeout_graceful_shutdown=1), site)

    def end() -> None:
        serving.should_exit = True

    site.end = end
    return serving


class _Server(EndsQuietly):
    """Ends by itself after the idle time."""

    def __init__(self, config: uvicorn.Config, site: Helper) -> None:
        super().__init__(config)
        self._site = site

    async def on_tick(self, counter: int) -> bool:
        """uvicorn calls this ten times a second to check whether to end."""
        return await super().on_tick(counter) or self._site.idle
