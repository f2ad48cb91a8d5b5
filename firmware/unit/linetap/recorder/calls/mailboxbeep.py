# SPDX-License-Identifier: Apache-2.0
"""Detects the beep of a mailbox in the audio: one short tone, higher than any call-progress tone.

The sound detector reports the start of a tone, but its end only with the next sound, and a short pause before the
message is no sound. During our own notice the sound detector classifies the notice.
"""

from __future__ import annotations

from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.evidence.windows import BIN_HZ, SPAN, STEP, Window, windows_of
from linetap.recorder.calls.noticeproof import not_after_answer, prove_notice
from linetap.recorder.signals.notice.maskedtones import beep_under_notice
from linetap.ring import RATE_HZ

_BEFORE_MS = 300  # before the reported start: the sound detector works in chunks of 256 ms
_NEAR = 2  # bins


def may_beep(line: LineContext, frame: int) -> bool:
    """Whether a beep may still come: an outgoing call that was answered not long ago."""
    call = line.call
    if call.beeped or call.direction != "out" or call.answered_ns is None:
        return False
    return frame - line.anchor.frame_at(call.answered_ns) <= line.profile.answer.beep_within_s * RATE_HZ


def is_beep(line: LineContext, began: int, until: int) -> bool:
    """Whether the tone that began at `began` is a beep. The tone ended before `until`, unless the call did."""
    numbers = line.profile.answer
    low, high = (ms * FRAMES_PER_MS for ms in numbers.beep_ms)
    first = began - _BEFORE_MS * FRAMES_PER_MS
    last = min(until, began + high + 2 * _BEFORE_MS * FRAMES_PER_MS)
    stretch = line.shared.audio.stretch(line.config.number, first, last)
    if stretch.gaps:
        return False
    tones: list[tuple[int, int, int]] = []  # (first window, last window, bin)
    for at in range(SPAN, len(stretch.samples) + 1, STEP):
        for window in windows_of(stretch.samples[at - SPAN : at], at, numbers):
            if (place := _high(window, numbers.beep_hz)) is None:
                continue
            start, end, hz_bin = tones[-1] if tones else (window.at, 0, -1)
            goes_on = window.at - end <= numbers.absent_ms * FRAMES_PER_MS and abs(place - hz_bin) <= _NEAR
            tones = [*tones[:-1], (start, window.at, hz_bin)] if goes_on else [*tones, (window.at, window.at, place)]
    longest = max(tones, key=lambda tone: tone[1] - tone[0], default=(0, 0, 0))
    alike = [tone for tone in tones if abs(tone[2] - longest[2]) <= _NEAR]  # lost packets split a tone
    return longest[1] - longest[0] + STEP >= low and alike[-1][1] - alike[0][0] + STEP <= high


def beeped_under_notice(line: LineContext, until: int) -> bool:
    """Whether a mailbox beeped while the notice that is not proven yet was on the line."""
    call = line.call
    if call.notice_from is None or not call.notices or not may_beep(line, until):
        return False
    stretch = line.shared.audio.stretch(call.line, call.notice_from, min(until, call.notice_until))
    if stretch.gaps:
        return False
    numbers, answer = line.profile.beneath, line.profile.answer
    notice = line.shared.notices.get(call.notices[-1].id)
    if notice is None:
        return False
    sent = notice.between(-numbers.delay_max_ms * FRAMES_PER_MS, len(stretch.samples))
    longest = answer.beep_ms[1] * FRAMES_PER_MS
    return beep_under_notice(stretch.samples, sent, numbers, answer.beep_hz, longest)


def mark_notices_unheard(line: LineContext) -> None:
    """Marks every notice so far as unheard: it was played to a machine."""
    line.call.beeped = True
    for notice in line.call.notices:
        not_after_answer(notice)


def prove_at_end(line: LineContext, until: int) -> None:
    """Proves the notice of a call that ended before its last echo, or before the end of a beep was known."""
    began = line.call.beep_from
    if beeped_under_notice(line, until) or (
        began is not None and may_beep(line, began) and is_beep(line, began, until)
    ):
        mark_notices_unheard(line)
    prove_notice(line, until)


def _high(window: Window, beep_hz: float) -> int | None:
    """The bin of the window's only frequency, if that is above the frequencies of call progress."""
    lines = window.lines
    if not lines or lines[0] * BIN_HZ < beep_hz or lines[-1] - lines[0] > _NEAR:
        return None
    return lines[len(lines) // 2]
