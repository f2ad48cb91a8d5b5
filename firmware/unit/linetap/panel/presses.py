# SPDX-License-Identifier: Apache-2.0
"""What is done when the button has been let go. The panel has no right of its own: it asks the recorder."""

from __future__ import annotations

import logging
from dataclasses import replace

import msgspec

from linetap.config.schema import Config
from linetap.panel.acknowledged import Acknowledged
from linetap.panel.button import Press
from linetap.panel.removal import Removal
from linetap.panel.sitenumber import SiteNumber
from linetap.panel.state import Shown
from linetap.sockets import Caller
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

log = logging.getLogger("linetap.panel")


class Presses:
    def __init__(self, config: Config) -> None:
        self._site, self._acknowledged = SiteNumber(config.site_number), Acknowledged()
        self.removal = Removal(config.run_path, lambda: self._ask(CancelRemoval()))
        self._recorder = Caller(config.run_path / RECORDER_SOCKET)

    def shown(self, now: Shown) -> Shown:
        """The same, calm where all of it was acknowledged."""
        return replace(now, calm=self._acknowledged.calms(now.marks))

    def call_lit(self, now_ms: int) -> bool | None:
        """Whether CALL is lit by the site number; None: it is not being shown."""
        return self._site.lit(now_ms)

    def act(self, press: Press, now: Shown, walk: WalkState | None, now_ms: int) -> None:
        """Never raises: a recorder that is not there shows by itself."""
        if press == "short":
            self._site.show(now_ms)
            self._acknowledged.take(now.marks)
            self.removal.acknowledge()
            if now.marks:
                log.info("acknowledged: %s", ", ".join(sorted(now.marks)))
        elif press == "walk":
            running = walk is not None and walk.ended_by is None
            self._ask(StopWalk() if running else StartWalk("button"))
        else:
            self.removal.begin(now_ms)
            self._ask(PrepareRemoval())

    def close(self) -> None:
        self._recorder.close()

    def _ask(self, command: RecorderCommand) -> None:
        self._recorder.answers()  # what came back before says itself in the recorder's log
        try:
            self._recorder.send(msgspec.json.encode(command))
        except DeviceFault as fault:
            log.warning("%s: %s", fault.code, fault)
