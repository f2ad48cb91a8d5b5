# SPDX-License-Identifier: Apache-2.0
"""What a line suffers from, as codes: each has a check of its own in checks/."""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.marks import DOUBTFUL


def troubles_of(line: LineContext) -> list[str]:
    memory, call = line.memory, line.memory.call
    found = []
    if memory.deaf_since_ns is not None:
        found.append("notice_not_heard")
    elif memory.unheard_calls or memory.deaf_calls:
        found.append("notice_doubtful")
    if call is not None:
        if call.is_marked:
            found.append("call_marked")
        if any(mark.kind in DOUBTFUL for mark in call.marks):
            found.append("mark_far")
        if call.call_time_told:
            found.append("long_call")
    return found
