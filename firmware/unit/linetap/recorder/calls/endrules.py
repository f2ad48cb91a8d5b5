# SPDX-License-Identifier: Apache-2.0
"""The rules that decide whether this unit may end the call on a line, or warn its caller."""

from __future__ import annotations

from linetap.linerelease import release_of
from linetap.recorder.calls.call import Call
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.policy import is_emergency
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ

STATES = ("recording", "end_notice")
HEARD = ("full", "partial")
# These reasons hold for the rest of the call.
LASTING = ("ended_already", "walk_test", "emergency", "number_unknown", "internal", "staff_unknown")
PUT_OFF_S = 60
MOST_PUT_OFF = 5


def refusal_reason(line: LineContext) -> str | None:
    """The reason why the call may not be ended, in one word; None: it may."""
    call = line.call
    if call.end_spoken is not None:
        return "ended_already"
    if line.memory.in_walk_test:
        return "walk_test"
    if any(is_emergency(line.policy, number) for number in _numbers(call)):
        return "emergency"
    if call.direction != "in" and (not call.dialled or call.digits_incomplete):
        return "number_unknown"  # it may be an emergency number
    if call.internal_by is not None:
        return "internal"
    if _may_have_another_party(line):
        return "another_party"
    if line.memory.state not in STATES or call.first_frame is None:
        return "not_recording"
    return None if _is_announced(call) else "not_announced"


def has_learned_telephone(line: LineContext) -> bool:
    """Whether this line's telephone is learnt; otherwise staff could neither stop an end nor put it off."""
    learned = line.shared.learned.get(line.config.number)
    return line.memory.near_digit_dbm0 is not None or (learned is not None and learned.near_digit_dbm0 is not None)


def has_contact(line: LineContext) -> bool:
    """Whether this line is released by its card's contact; else staff hang up."""
    learned = line.shared.learned.get(line.config.number)
    return release_of(line.shared.config, line.config, learned) == "contact"


def refuse(line: LineContext, event: Event, situation: str, why: str, *, by_time: bool) -> None:
    """Reports that the call is not ended, or its caller not warned; puts the longest time off, a few times."""
    call = line.call
    line.add_mark(event, "end_refused")
    line.report("end_refused", event.at, situation=situation, why=why)
    if by_time:
        call.put_off += 1
        call.put_off_to = event.at + PUT_OFF_S * RATE_HZ
        call.time_off = why in LASTING or call.put_off >= MOST_PUT_OFF


def _numbers(call: Call) -> list[str]:
    caller = call.caller.number if call.caller else None
    return [each for each in (call.dialled, call.redialled, *call.also_dialled, caller) if each]


def _may_have_another_party(line: LineContext) -> bool:
    """Whether another party may be waiting or on hold, whom on-hook would affect too.

    A flash may have put a party on hold, and nothing on the line shows the end of the hold.
    """
    call = line.call
    moved = call.flashed or call.waiting or call.was_held or call.swapped_at is not None or call.paused_at is not None
    return moved or bool(call.redialled or call.also_dialled) or line.memory.state == "new_party"


def _is_announced(call: Call) -> bool:
    """Whether the party on the line has heard the last announcement, after an answer that is proven."""
    last = call.notices[-1] if call.notices else None
    return last is not None and not call.guessed and last.began_after_answer is True and last.proof in HEARD
