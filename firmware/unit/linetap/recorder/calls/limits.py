# SPDX-License-Identifier: Apache-2.0
"""The recommended length of a call: the desk is told once, and the parties may be."""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.marks import play_once
from linetap.recorder.signals.event import Event
from linetap.ring import RATE_HZ, SLOT_FRAMES


def recommended_time(line: LineContext, event: Event) -> None:
    line.call.call_time_told = True
    line.report("call_time", event.at)
    if line.policy.end_notice and line.memory.playing is None and line.memory.state == "recording":
        play_once(line, line.policy.end_notice, event)


def limit_frame(line: LineContext) -> int:
    """The frame at which the recording is as long as one may be; never within a stretch that is withheld."""
    call = line.call
    assert call.first_frame is not None
    limit = call.first_frame + line.policy.longest_call_s * RATE_HZ
    return max(limit, call.withheld[-1][1] + SLOT_FRAMES) if call.withheld else limit


def recommended_frame(line: LineContext) -> int | None:
    """The frame at which the call gets so long; None: not this call, or told already."""
    call = line.memory.call
    if call is None or call.answered_ns is None or call.call_time_told or call.first_frame is None:
        return None
    return line.anchor.frame_at(call.answered_ns) + line.policy.recommended_call_s * RATE_HZ
