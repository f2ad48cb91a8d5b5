# SPDX-License-Identifier: Apache-2.0
"""What panel and terminal ask of the recorder, over its socket: one packet, one command, one answer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.sockets import Listener
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.records import RECORDER_SOCKET, RecorderCommand, Refused, Walking

TRY_EVERY_S = 3
PANEL_USER = "linetap-panel"  # systemd/sysusers.d

Obey = Callable[[RecorderCommand], Refused | Walking | None]

log = logging.getLogger("linetap.recorder")


class Door:
    def __init__(self, run_dir: Path, clock: Clock) -> None:
        self._path, self._clock = run_dir / RECORDER_SOCKET, clock
        self._listener: Listener | None = None
        self._why, self._next_ns = "", clock.monotonic_ns()
        self._open()

    def _open(self) -> None:
        """Without room for a socket no requests are possible, and calls are recorded all the same."""
        self._next_ns += TRY_EVERY_S * NS_PER_S
        try:
            self._listener = Listener(self._path, PANEL_USER)
        except OSError as error:
            why = error.strerror or str(error)
            if why != self._why:
                log.error("door_closed: %s: %s; button and walk tests ask in vain", self._path, why)
            self._why = why

    def serve(self, obey: Obey) -> bool:
        """All that is waiting; whether any of it was done."""
        done = False
        if self._listener is None:
            if self._clock.monotonic_ns() >= self._next_ns:
                self._open()
            return False
        for peer, data in self._listener.poll():
            try:
                answer = obey(jsontext.decode(data, RecorderCommand))
            except msgspec.DecodeError as error:
                answer = Refused(0, f"not a command: {error}")
            if isinstance(answer, Refused):
                log.warning("request_refused: %s", answer.why)
            else:
                done = True
            if answer is not None:
                with contextlib.suppress(OSError):  # the asker has gone or does not read
                    peer.send(msgspec.json.encode(answer))
        return done

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
