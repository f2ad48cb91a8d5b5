# SPDX-License-Identifier: Apache-2.0
"""Listens on the loopback, says where and with which code, and ends when nobody is there."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import resource
import socket
import sys
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import uvicorn

from linetap_core.clock import Clock
from linetap_core.errors import BadInput
from linetap_desk.custody import routes
from linetap_desk.custody.case import Case
from linetap_desk.custody.site import CasePages, Door, Site
from linetap_desk.serve.server import EndsQuietly, config, until_told

HOST = "127.0.0.1"
_MOST_AT_ONCE = 20
_PR_SET_DUMPABLE = 4


def run(case: Case, clock: Clock, port: int, zone: ZoneInfo, idle_s: float) -> int:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    leave_no_core()
    with listening(port) as at:
        site = made(case, clock, at, zone, idle_s)
        sys.stderr.write(f"{site.url}/\ncode: {site.door.code}\n")
        sys.stderr.flush()
        asyncio.run(until_told(server(site), at))
    return 0


def leave_no_core() -> None:
    """What is in memory is not written to a disk when the process dies, and no other process of the user reads it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextlib.contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as at:
        try:
            at.bind((HOST, port))
        except OSError as error:
            raise BadInput(f"--port {port}: {error.strerror}") from None
        at.listen(_MOST_AT_ONCE)
        yield at


def made(case: Case, clock: Clock, at: socket.socket, zone: ZoneInfo, idle_s: float) -> Site:
    look = CasePages(zone, "linetap_desk.custody")
    return Site(case, Door(), look, clock, f"http://{HOST}:{at.getsockname()[1]}", idle_s)


def server(site: Site) -> EndsQuietly:
    serving = _Server(
        config(routes.make(site), lifespan="off", limit_concurrency=_MOST_AT_ONCE, timeout_graceful_shutdown=1),
        site,
    )

    def end() -> None:
        serving.should_exit = True

    site.end = end
    return serving


class _Server(EndsQuietly):
    """Ends by itself after the idle time."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    async def on_tick(self, counter: int) -> bool:
        """uvicorn looks ten times a second whether it shall end."""
        return await super().on_tick(counter) or self._site.idle
