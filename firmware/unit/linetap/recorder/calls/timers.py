# SPDX-License-Identifier: Apache-2.0
"""Deadlines during a recording: the recording beep, the recommended length and the longest length.

The beep is a short tone at an interval set by policy; it reminds the parties of the recording. It is not played during
a notice, before the notice is proven, or between digits, and is too short to count as voice.
"""

from __future__ import annotations

from linetap.notices import BEEP
from linetap.recorder.calls.codes import play_once
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ, SLOT_FRAMES

AFTER_DIGITS_MS = 2000
AFTER_NOTICE_MS = 2000


def report_recommended_time(line: LineContext, event: Event) -> None:
    """Reports once that the call has reached the recommended length; plays the end notice if policy has one."""
    line.call.call_time_reported = True
    line.report("call_time", event.at)
    if line.policy.end_notice and line.memory.playing is None and line.memory.state == "recording":
        play_once(line, line.policy.end_notice, event)


def limit_frame(line: LineContext) -> int:
    """The frame at which the recording reaches its longest length; never within a withheld stretch."""
    call = line.call
    assert call.first_frame is not None
    limit = call.first_frame + line.policy.longest_call_s * RATE_HZ
    return max(limit, call.withheld[-1][1] + SLOT_FRAMES) if call.withheld else limit


def recommended_frame(line: LineContext) -> int | None:
    """The frame at which the call reaches the recommended length; None: not applicable, or already reported."""
    call = line.memory.call
    if call is None or call.answered_ns is None or call.call_time_reported or call.first_frame is None:
        return None
    return line.anchor.frame_at(call.answered_ns) + line.policy.recommended_call_s * RATE_HZ


def beep_frame(line: LineContext) -> int | None:
    """The frame of the next beep; None: policy has no beep, or nothing is being recorded."""
    call, every_s = line.memory.call, line.policy.beep_every_s
    if call is None or not every_s or call.first_frame is None or line.memory.state != "recording":
        return None
    after_ms = AFTER_NOTICE_MS if call.notice_from is not None else 0
    due = max(call.beeped_at or call.first_frame, 0) + every_s * RATE_HZ
    typed = call.typed[-1].at + AFTER_DIGITS_MS * FRAMES_PER_MS if call.typed else 0
    return max(due, typed, call.plays_until, call.notice_until + after_ms * FRAMES_PER_MS if after_ms else 0)


def play_beep(line: LineContext, event: Event) -> None:
    """Plays the beep and remembers its frame."""
    line.call.beeped_at = event.at
    play_once(line, BEEP, event)
