# SPDX-License-Identifier: Apache-2.0
"""Receives the recorder's commands to capture: one packet, one command; a refusal is returned to the client."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import msgspec

from linetap.capture.contacts import Contacts
from linetap.capture.player import Player
from linetap.sockets import Listener
from linetap_core import jsontext, rundir
from linetap_core.records import CaptureCommand, PlayNotice, Refused, ReleaseLine

RECORDER_USER = "linetap-recorder"  # systemd/sysusers.d

log = logging.getLogger("linetap.capture")


class Commands:
    """Capture's end of its socket."""

    def __init__(self, run_dir: Path, card: int, player: Player, contacts: Contacts) -> None:
        self._listener = Listener(rundir.socket_path(run_dir, card), RECORDER_USER)
        self._player, self._contacts = player, contacts

    def fileno(self) -> int:
        """The descriptor that is readable if `serve` has work."""
        return self._listener.fileno()

    def serve(self, written: int) -> None:
        """Executes all waiting commands; `written`: playback frames written so far."""
        for peer, data in self._listener.poll():
            refused = self._obey(data, written)
            if refused is not None:
                log.warning("command_refused: line %d: %s", refused.line, refused.why)
                with contextlib.suppress(OSError):  # the client has left or does not read: the ring shows the refusal
                    peer.send(msgspec.json.encode(refused))

    def _obey(self, data: bytes, written: int) -> Refused | None:
        try:
            command = jsontext.decode(data, CaptureCommand)
        except msgspec.DecodeError as error:
            return Refused(0, f"not a command: {error}")
        if isinstance(command, PlayNotice):
            why = self._player.play(command.line, command.notice, command.at_frame, plain=command.plain)
        elif isinstance(command, ReleaseLine):
            why = self._contacts.open(command.line, command.ms)
        else:
            why = self._player.stop(command.line, written)
        return None if why is None else Refused(command.line, why)

    def close(self) -> None:
        self._listener.close()
