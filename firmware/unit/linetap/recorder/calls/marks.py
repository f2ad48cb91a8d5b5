# SPDX-License-Identifier: Apache-2.0
"""The marks of a call: those of the far end cannot use up the room for those of staff."""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ
from linetap_core.records import Mark

MOST_MARKS = 32
MOST_FOREIGN = 4
FOREIGN = ("_far", "_uncertain")


def note(line: LineContext, event: Event, kind: str) -> None:
    """Adds a mark to the call."""
    call = line.call
    foreign = kind.endswith(FOREIGN)
    if foreign and sum(mark.kind.endswith(FOREIGN) for mark in call.marks) >= MOST_FOREIGN:
        return
    start = call.first_frame if call.first_frame is not None else call.notice_from or event.at
    call.marks = [*call.marks, Mark(round(max(0, event.at - start) / RATE_HZ, 3), kind)][:MOST_MARKS]
