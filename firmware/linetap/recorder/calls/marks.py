# SPDX-License-Identifier: Apache-2.0
"""The mark code, and whose fingers dialled it: a telephone on this line is louder than one at the far end."""

from __future__ import annotations

from linetap.errors import DeviceFault
from linetap.recorder.calls.call import ABUSE, Key
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.signals.event import Event
from linetap.records import Mark
from linetap.ring import RATE_HZ

FAR = "mark_far"
KEYS_WITHIN_S = 3  # of each other: longer, and they are not one code
MOST_MARKS = 16
WARNING_AFTER_MS = 200
SETTLES = 0.25  # share that a digit has in the level learnt


def key(line: LineContext, event: Event) -> None:
    """A digit of a call that somebody has answered."""
    call, code = line.call, line.policy.mark_code
    fresh = [k for k in call.keys[-len(code) + 1 :] if event.at - k.at <= KEYS_WITHIN_S * RATE_HZ * len(code)]
    call.keys = [*fresh, Key(event.at, event.text, event.level_dbm0)]
    gaps = [b.at - a.at for a, b in zip(call.keys, call.keys[1:], strict=False)]
    if "".join(k.digit for k in call.keys) == code and all(gap <= KEYS_WITHIN_S * RATE_HZ for gap in gaps):
        near = all(is_near(line, k) for k in call.keys)
        call.keys = []
        _mark(line, event, ABUSE if near else FAR)


def learn_near_end(line: LineContext, event: Event) -> None:
    """What is dialled before anybody has answered comes from this line's own telephone. Pulses have no level."""
    memory = line.memory
    if event.level_dbm0 and line.call.first_frame is None:
        known = memory.near_digit_dbm0
        memory.near_digit_dbm0 = event.level_dbm0 if known is None else known + SETTLES * (event.level_dbm0 - known)


def begins_a_code(line: LineContext, typed: str) -> bool:
    return line.policy.mark_code.startswith(typed)


def is_near(line: LineContext, pressed: Key) -> bool:
    learned = line.around.learned.get(line.config.number)
    levels = (line.memory.near_digit_dbm0, learned.near_digit_dbm0 if learned else None, line.profile.near_digit_dbm0)
    near = next(level for level in levels if level is not None)
    return pressed.level_dbm0 >= near - line.profile.near_digit_slack_db


def _mark(line: LineContext, event: Event, kind: str) -> None:
    call = line.call
    first = kind == ABUSE and not call.is_marked
    start = call.first_frame if call.first_frame is not None else call.notice_from or event.at
    call.marks = [*call.marks, Mark(round(max(0, event.at - start) / RATE_HZ, 3), kind)][:MOST_MARKS]
    if kind == ABUSE:
        line.report("marked", event.at, ABUSE)
    if first and line.policy.mark_notice and line.memory.playing is None:
        play_once(line, line.policy.mark_notice, event)


def play_once(line: LineContext, notice: str, event: Event) -> None:
    """A notice that opens no gate: whether it could be played changes nothing about the recording."""
    try:
        line.around.capture.play(line.config.number, notice, event.known + WARNING_AFTER_MS * FRAMES_PER_MS)
    except DeviceFault:
        return
