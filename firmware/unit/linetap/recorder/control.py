# SPDX-License-Identifier: Apache-2.0
"""Requests from panel and terminal over the recorder's socket (one packet, one command, one answer), and the removal of
the disk.

A removal ends the calls, refuses new ones and seals everything. It ends with the next start of the recorder, or if
nobody unmounts the disk.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.recorder.core import Recorder
from linetap.recorder.vault.writer import VaultWriter
from linetap.sockets import Listener
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.records import RECORDER_SOCKET, RecorderCommand, Refused, RemovalState, Walking

TRY_EVERY_S = 3
PANEL_USER = "linetap-panel"  # systemd/sysusers.d

Obey = Callable[[RecorderCommand], Refused | Walking | None]

log = logging.getLogger("linetap.recorder")
WHY = "removal"


class ControlSocket:
    """The recorder's end of its socket."""

    def __init__(self, run_dir: Path, clock: Clock) -> None:
        self._path, self._clock = run_dir / RECORDER_SOCKET, clock
        self._listener: Listener | None = None
        self._why, self._next_ns = "", clock.monotonic_ns()
        self._open()

    def _open(self) -> None:
        """Opens the socket. If that fails for lack of space, calls are recorded without requests."""
        self._next_ns += TRY_EVERY_S * NS_PER_S
        try:
            self._listener = Listener(self._path, PANEL_USER)
        except OSError as error:
            why = error.strerror or str(error)
            if why != self._why:
                log.error("control_socket_closed: %s: %s; the button and walk tests get no answer", self._path, why)
            self._why = why

    def serve(self, obey: Obey) -> bool:
        """Answers all waiting requests; returns whether any of them was carried out."""
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
                with contextlib.suppress(OSError):  # the client has left or does not read
                    peer.send(msgspec.json.encode(answer))
        return done

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()


class Removal:
    """The removal of the disk, and its state."""

    def __init__(self, core: Recorder, vault: VaultWriter, busy: Callable[[], bool]) -> None:
        """`busy` returns whether jobs for the vault are still to come."""
        self._core, self._vault, self._busy = core, vault, busy
        self._asked = False

    def begin(self) -> None:
        """Ends all calls and refuses new ones."""
        if not self._asked:
            log.warning("removal_asked: calls end here, and no new call is recorded")
        self._asked = True
        self._vault.refuse_calls(WHY)
        self._core.end_calls(WHY)

    def cancel(self) -> None:
        """Cancels the removal: calls are recorded again."""
        if self._asked:
            log.warning("removal_cancelled: calls are recorded again")
        self._asked = False
        self._vault.refuse_calls(None)

    def state(self) -> RemovalState | None:
        """The state: `ending` or `ready`; None: no removal was requested."""
        if not self._asked:
            return None
        busy = self._busy() or self._vault.being_recorded() or self._vault.unfinished()
        return "ending" if busy else "ready"
