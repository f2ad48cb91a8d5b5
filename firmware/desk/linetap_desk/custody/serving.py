# SPDX-License-Identifier: Apache-2.0
"""Serves a helper's pages on the loopback until its button, a signal, or the idle time ends it; and the common
options."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette

from linetap_core import system
from linetap_core.errors import BadInput
from linetap_core.zones import KOREA
from linetap_desk.accesslog import deskfolder
from linetap_desk.custody.site import Helper
from linetap_desk.inputs import strict
from linetap_desk.web.server import EndsQuietly, config, serve_until_signal

HOST = "127.0.0.1"
_MOST_AT_ONCE = 20
_MOST_IDLE_MINUTES = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; default a free one")
    parser.add_argument("--zone", default=KOREA, help="time zone of days and times (%(default)s)")
    parser.add_argument(
        "--idle-minutes", type=float, default=15, metavar="N", help="end after so many idle minutes (%(default)s)"
    )
    parser.add_argument(
        "--desk-folder", type=Path, metavar="DIR",
        help=f"roles and access log; default ${deskfolder.VARIABLE}, else ~/.linetap-desk",
    )  # fmt: skip


def zone_of_arguments(args: argparse.Namespace) -> ZoneInfo:
    """The time zone; BadInput also for an invalid port or idle time."""
    if not 0 <= args.port < 1 << 16:
        raise BadInput(f"--port {args.port}: 0 to 65535 expected")
    if not 0 < args.idle_minutes <= _MOST_IDLE_MINUTES:
        raise BadInput(f"--idle-minutes {args.idle_minutes:g}: up to {_MOST_IDLE_MINUTES} expected")
    try:
        return strict.zone_of(args.zone)
    except BadInput:
        raise BadInput(f"--zone {args.zone}: no time zone; {KOREA} expected") from None


@contextlib.contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as at:
        if sys.platform == "win32":  # otherwise another program of this person could share the port
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
    """Prints address and code in the terminal or console window, which only the person at this machine can read."""
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
    """A server that ends after the idle time."""

    def __init__(self, config: uvicorn.Config, site: Helper) -> None:
        super().__init__(config)
        self._site = site

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; uvicorn calls this ten times a second."""
        return await super().on_tick(counter) or self._site.idle
