# SPDX-License-Identifier: Apache-2.0
"""What a detector tells the call table."""

from __future__ import annotations

from typing import Literal

import msgspec

EventName = Literal[
    "ringing", "ring_gone", "off_hook", "on_hook", "flash", "polarity",
    "loop_break", "digit", "tone", "tone_gone", "voice", "talk", "fax_maybe", "fax_gone", "fax", "neighbour",
    "notice_started", "notice_ended", "notice_broken", "deadline", "limit", "call_time",
]  # fmt: skip


class Event(msgspec.Struct, frozen=True, order=True):
    """`known`: the frame at which it became certain, the order of handling; `at`: the frame it tells of."""

    known: int
    name: EventName
    at: int
    text: str = ""  # the digit, the tone
    level_dbm0: float = 0.0  # of one tone of a digit; pulses have 0
