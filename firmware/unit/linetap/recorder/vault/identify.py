# SPDX-License-Identifier: Apache-2.0
"""`identify`: the panel shows which unit is meant, for a while; it reads until when in the recorder's state file."""

from __future__ import annotations

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.evidence import commandbody
from linetap_core.evidence.command import Command


class Identify:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.until_ns = 0  # monotonic: with the power it is forgotten

    def asked(self, command: Command) -> str:
        seconds = commandbody.read(command, commandbody.Identify).seconds
        self.until_ns = self._clock.monotonic_ns() + seconds * NS_PER_S
        return f"the LEDs show it for {seconds} s"
