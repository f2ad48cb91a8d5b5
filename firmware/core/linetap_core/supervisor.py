# SPDX-License-Identifier: Apache-2.0
"""systemd, where it is what started us (sd_notify(3)): told when the service works, and again as long as it gets on."""

from __future__ import annotations

import contextlib
import os
import socket

from linetap_core.records import ServiceState

_FEEDS = 4  # in the time after which systemd would lose patience; more only costs it time


class Supervisor:
    """Without $NOTIFY_SOCKET there is nobody to tell."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket's name
        self._every_ns = int(os.environ.get("WATCHDOG_USEC", "0")) * 1000 // _FEEDS
        self._fed_ns = 0
        self._progress: int | None = None

    def tell(self, state: ServiceState, idle: bool, in_spite: bool = False, stands: bool = False) -> None:
        """READY=1 with the first word, then WATCHDOG=1, when there was progress since the last or nothing to do.

        A service that lives without working is not fed, and systemd starts it anew. `in_spite`: it works, fault or not;
        `stands`: one of its threads hangs, whatever the others do.
        """
        if not self._address or stands or (state.fault is not None and not in_spite):
            return
        if self._progress is None:
            self._send("READY=1")
        elif state.mono_ns - self._fed_ns >= self._every_ns and (idle or state.progress != self._progress):
            self._send("WATCHDOG=1")
        else:
            return
        self._progress, self._fed_ns = state.progress, state.mono_ns

    def _send(self, word: str) -> None:
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.sendto(word.encode("ascii"), socket.MSG_DONTWAIT, self._address)
