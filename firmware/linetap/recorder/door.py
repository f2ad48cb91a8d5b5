# SPDX-License-Identifier: Apache-2.0
"""What panel and terminal ask of the recorder, over its socket: one packet, one command, one answer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.handover import decoded
from linetap.records import RECORDER_SOCKET, RecorderCommand, Refused, Walking
from linetap.sockets import Listener

PANEL_USER = "linetap-panel"  # systemd/sysusers.d

Obey = Callable[[RecorderCommand], Refused | Walking | None]

log = logging.getLogger("linetap.recorder")


class Door:
    def __init__(self, run_dir: Path) -> None:
        self._listener = Listener(run_dir / RECORDER_SOCKET, PANEL_USER)
        self._decoder = msgspec.json.Decoder(RecorderCommand)

    def serve(self, obey: Obey) -> bool:
        """All that is waiting; whether any of it was done."""
        done = False
        for peer, data in self._listener.poll():
            try:
                answer = obey(decoded(data, self._decoder))
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
        self._listener.close()
