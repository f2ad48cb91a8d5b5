# SPDX-License-Identifier: Apache-2.0
"""`identify`: the panel shows which unit is meant, for a while; it reads until when in the recorder's state file."""

from __future__ import annotations

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.evidence.command import IDENTIFY_LONGEST_S, Command, CommandFault, fields


class Identify:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.until_ns = 0  # monotonic: with the power it is forgotten

    def asked(self, command: Command) -> str:
        (text,) = fields(command, "seconds")
        if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= IDENTIFY_LONGEST_S):
            raise CommandFault("command_malformed", f"seconds: 1 to {IDENTIFY_LONGEST_S} would be right")
        self.until_ns = self._clock.monotonic_ns() + int(text) * NS_PER_S
        return f"the LEDs show it for {int(text)} s"
