# SPDX-License-Identifier: Apache-2.0
"""The two codes that staff dial during a call: one marks the call as abusive, one plays the notice now."""

from __future__ import annotations

from linetap.recorder.calls.call import Key
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.nearend import Whose, whose_keys
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ
from linetap_core.errors import DeviceFault
from linetap_core.records import ABUSE, Mark

MARKS: dict[Whose, str] = {"near": ABUSE, "far": "mark_far", "uncertain": "mark_uncertain"}
DOUBTFUL = (MARKS["far"], MARKS["uncertain"])
NOTICE_CODE: dict[Whose, str] = {"near": "notice_code", "far": "notice_code_far", "uncertain": "notice_code_uncertain"}
KEYS_WITHIN_S = 3  # longest time between two keys of one code
LONGEST_CODE = 8
MOST_MARKS = 16
WARNING_AFTER_MS = 200


def add_key(line: LineContext, event: Event) -> Whose | None:
    """Adds a digit of an answered call. Returns which end has dialled the notice code, or None: not complete."""
    call, policy = line.call, line.policy
    if call.keys and event.at - call.keys[-1].at > KEYS_WITHIN_S * RATE_HZ:
        call.keys = []
    call.keys = [*call.keys, Key(event.at, event.text, event.level_dbm0)][-LONGEST_CODE:]
    typed = "".join(each.digit for each in call.keys)
    if typed.endswith(policy.mark_code):
        by = whose_keys(line, _take(line, len(policy.mark_code)))
        _mark(line, event, MARKS[by])
    elif policy.notice_code and typed.endswith(policy.notice_code):
        by = whose_keys(line, _take(line, len(policy.notice_code)))
        _note(line, event, NOTICE_CODE[by])
        return by
    return None


def begins_a_code(line: LineContext, typed: str) -> bool:
    """Whether these digits are the beginning of a code."""
    return line.policy.mark_code.startswith(typed) or line.policy.notice_code.startswith(typed)


def _take(line: LineContext, count: int) -> list[Key]:
    """Removes the code's keys and returns them: none of them belongs to another code."""
    keys, line.call.keys = line.call.keys[-count:], []
    return keys


def _note(line: LineContext, event: Event, kind: str) -> None:
    """Adds a mark to the call."""
    call = line.call
    start = call.first_frame if call.first_frame is not None else call.notice_from or event.at
    call.marks = [*call.marks, Mark(round(max(0, event.at - start) / RATE_HZ, 3), kind)][:MOST_MARKS]


def _mark(line: LineContext, event: Event, kind: str) -> None:
    """Marks the call; the first mark from this end plays the mark notice."""
    first = kind == ABUSE and not line.call.is_marked
    _note(line, event, kind)
    if kind == ABUSE:
        line.report("marked", event.at, ABUSE)
    if first and line.policy.mark_notice and line.memory.playing is None:
        play_once(line, line.policy.mark_notice, event)


def play_once(line: LineContext, notice: str, event: Event) -> None:
    """Plays a notice that opens no gate: the recording does not depend on its success."""
    at, known = event.known + WARNING_AFTER_MS * FRAMES_PER_MS, line.around.notices.get(notice)
    try:
        line.around.capture.play(line.config.number, notice, at)
    except DeviceFault:
        return
    line.call.plays_until = at + (known.frames if known is not None else 0)
