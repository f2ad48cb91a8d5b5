# SPDX-License-Identifier: Apache-2.0
"""Notifies systemd (sd_notify(3)) that the service is ready, and feeds its watchdog while the service makes
progress."""

from __future__ import annotations

import contextlib
import os
import socket

from linetap_core.records import ServiceState

_FEEDS = 4  # within the watchdog's time; more would only cost systemd time


class Supervisor:
    """Does nothing without $NOTIFY_SOCKET."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket's name
        self._every_ns = int(os.environ.get("WATCHDOG_USEC", "0")) * 1000 // _FEEDS
        self._fed_ns = 0
        self._progress: int | None = None

    def tell(self, state: ServiceState, idle: bool, despite_fault: bool = False, stands: bool = False) -> None:
        """Sends READY=1 with the first state, then WATCHDOG=1 when there was progress since the last one or nothing to
        do.

        The watchdog of a service without progress is not fed, and systemd restarts it. `despite_fault`: the service
        works although its state has a fault; `stands`: one of its threads hangs, whatever the others do.
        """
        if not self._address or stands or (state.fault is not None and not despite_fault):
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
