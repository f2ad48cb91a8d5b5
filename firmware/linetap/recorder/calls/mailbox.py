# SPDX-License-Identifier: Apache-2.0
"""The beep of a mailbox: behind it somebody is told for the first time, though the machine answered before.

What the network says before the beep nobody keeps, and a notice that played over it reached nobody: it is `early`, and
plays again behind the beep, once a call. A beep is one tone, higher than any tone of call progress, and is not
repeated.
"""

from __future__ import annotations

from linetap.recorder.calls import parties, swapped
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.evidence.look import BIN_HZ, SPAN, STEP, look
from linetap.recorder.calls.heard import not_after_answer
from linetap.recorder.signals.event import Event
from linetap.ring import RATE_HZ


def sound(line: LineContext, event: Event) -> None:
    """A tone may be a beep; which, is known when it is over."""
    call, numbers = line.call, line.profile.answer
    swapped.sound(line, event)
    began, call.beep_from = call.beep_from, event.at if event.text == "tone" else None
    if began is None or call.beeped or call.direction != "out" or call.answered_ns is None:
        return
    low, high = (ms * FRAMES_PER_MS for ms in numbers.beep_ms)
    soon = event.known - line.anchor.frame_at(call.answered_ns) <= numbers.beep_within_s * RATE_HZ
    if soon and low <= event.at - began <= high and _is_high(line, began):
        call.beeped = True
        for notice in call.notices:
            not_after_answer(notice)
        parties.pause(line, event.known)
        parties.announce_again(line, event)


def _is_high(line: LineContext, began: int) -> bool:
    """One frequency above those of call progress, in the middle of what may be a beep."""
    numbers, end = line.profile.answer, began + SPAN + STEP
    stretch = line.around.audio.stretch(line.config.number, end - SPAN, end)
    if stretch.gaps or len(stretch.samples) < SPAN:
        return False
    lines = look(stretch.samples, end, numbers)[-1].lines
    return bool(lines) and lines[0] * BIN_HZ >= numbers.beep_hz and lines[-1] - lines[0] <= 2
