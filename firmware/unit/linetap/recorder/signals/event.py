# SPDX-License-Identifier: Apache-2.0
"""What a detector tells the call table."""

from __future__ import annotations

from typing import Literal

import msgspec

EventName = Literal[
    "ringing", "ring_gone", "off_hook", "on_hook", "flash", "polarity",
    "loop_break", "digit", "tone", "tone_gone", "voice", "talk", "fax_maybe", "fax_gone", "fax", "neighbour",
    "sound", "channel", "look", "pbx",
    "notice_started", "notice_ended", "notice_broken", "deadline", "limit", "call_time", "party", "dial_lasts", "beep",
    "alone",
]  # fmt: skip


class Event(msgspec.Struct, frozen=True):
    """`known`: the frame at which it became certain; `at`: the frame it tells of."""

    known: int
    name: EventName
    at: int
    text: str = ""  # the digit, the tone, the sound
    level_dbm0: float = 0.0  # of one tone of a digit, pulses have 0; of a sound
    period_ms: int = 0  # of the sounds "cadence" and "cadence_over": from burst to burst ...
    on_ms: int = 0  # ... and how long one lasts

    @property
    def turn(self) -> tuple[int, bool, EventName, int, str, float]:
        """The order of handling, the same whatever was found first. Of two that became certain in the same frame,
        ringing comes before the off-hook that answers it: the other way round a call that came in has gone out."""
        return self.known, self.name != "ringing", self.name, self.at, self.text, self.level_dbm0
