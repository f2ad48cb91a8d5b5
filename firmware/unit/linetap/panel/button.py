# SPDX-License-Identifier: Apache-2.0
"""The button: the meaning of a press by its length, and the action at its release.

A press acts only at its release, and a press longer than STUCK_MS has no effect: a stuck button must neither start a
test nor end the recording. The panel has no rights of its own: it sends requests to the recorder. A short press
acknowledges all standing findings, and FAULT is calm until a new one stands; only the panel stores the acknowledgement,
while alerts, journal and desk do not change. A short press also shows the site number on CALL.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import msgspec

from linetap.config.schema import Config
from linetap.panel.removal import Removal
from linetap.panel.state import Display
from linetap.sockets import SocketClient
from linetap_core.errors import DeviceFault
from linetap_core.records import (
    RECORDER_SOCKET,
    CancelRemoval,
    PrepareRemoval,
    RecorderCommand,
    StartWalk,
    StopWalk,
    WalkState,
)
from linetap_core.wire.legend import STEP_MS, number_pattern

Press = Literal["short", "walk", "removal"]

SHORT_MS = 1000  # from this length up to the next, a press is only a lamp test
WALK_MS = 3000
REMOVAL_MS = 10_000
STUCK_MS = 30_000


class Button:
    def __init__(self) -> None:
        self._since_ms: int | None = None

    def held_ms(self, pressed: bool, now_ms: int) -> int | None:
        """Returns the time since the button was pressed; None: it is not pressed."""
        if not pressed:
            return None
        return 0 if self._since_ms is None else now_ms - self._since_ms

    def update(self, pressed: bool, now_ms: int) -> Press | None:
        """Returns the meaning of a press that has just ended, or None. Call it once a tick."""
        if pressed:
            self._since_ms = now_ms if self._since_ms is None else self._since_ms
            return None
        since_ms, self._since_ms = self._since_ms, None
        return None if since_ms is None else meaning(now_ms - since_ms)


def meaning(ms: int) -> Press | None:
    """Returns the meaning of a press of that length."""
    if ms < SHORT_MS:
        return "short"
    if ms < WALK_MS or ms >= STUCK_MS:
        return None
    return "walk" if ms < REMOVAL_MS else "removal"


# --- Acknowledgement --------------------------------------------------------------------------------------------------


class Acknowledged:
    """Conditions that a person in the closet has acknowledged."""

    def __init__(self) -> None:
        self._seen: frozenset[str] = frozenset()

    def acknowledge(self, marks: frozenset[str]) -> None:
        """Acknowledges all conditions that stand now."""
        self._seen = marks

    def covers(self, marks: frozenset[str]) -> bool:
        """Whether all standing conditions are acknowledged. A condition that clears and returns is new."""
        self._seen &= marks
        return bool(marks) and marks == self._seen


# --- Site number ------------------------------------------------------------------------------------------------------


class SiteNumber:
    """The site number on CALL. No effect if the configuration has no number."""

    def __init__(self, number: int | None) -> None:
        self._steps = "" if number is None else number_pattern(number)
        self._began_ms: int | None = None

    def show(self, now_ms: int) -> None:
        self._began_ms = now_ms

    def lit(self, now_ms: int) -> bool | None:
        """Whether CALL is lit for the number; None while it is not shown."""
        if self._began_ms is None:
            return None
        step = (now_ms - self._began_ms) // STEP_MS
        if step >= len(self._steps):
            self._began_ms = None
            return None
        return self._steps[step] == "#"


# --- Actions ----------------------------------------------------------------------------------------------------------


log = logging.getLogger("linetap.panel")


class Presses:
    def __init__(self, config: Config) -> None:
        self._site, self._acknowledged = SiteNumber(config.site_number), Acknowledged()
        self.removal = Removal(config.run_path, lambda: self._send_request(CancelRemoval()))
        self._recorder = SocketClient(config.run_path / RECORDER_SOCKET)

    def shown(self, now: Display) -> Display:
        """Returns `now`, with FAULT calm if all its conditions are acknowledged."""
        return replace(now, calm=self._acknowledged.covers(now.marks))

    def call_lit(self, now_ms: int) -> bool | None:
        """Whether CALL is lit by the site number; None while it is not shown."""
        return self._site.lit(now_ms)

    def act(self, press: Press, now: Display, walk: WalkState | None, now_ms: int) -> None:
        """Executes a press. Never raises: an absent recorder has its own condition."""
        if press == "short":
            self._site.show(now_ms)
            self._acknowledged.acknowledge(now.marks)
            self.removal.acknowledge()
            if now.marks:
                log.info("acknowledged: %s", ", ".join(sorted(now.marks)))
        elif press == "walk":
            running = walk is not None and walk.ended_by is None
            self._send_request(StopWalk() if running else StartWalk("button"))
        else:
            self.removal.begin(now_ms)
            self._send_request(PrepareRemoval())

    def close(self) -> None:
        self._recorder.close()

    def _send_request(self, command: RecorderCommand) -> None:
        self._recorder.answers()  # earlier answers are in the recorder's log
        try:
            self._recorder.send(msgspec.json.encode(command))
        except DeviceFault as fault:
            log.warning("%s: %s", fault.code, fault)
