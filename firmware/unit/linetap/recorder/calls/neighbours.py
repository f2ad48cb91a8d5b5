# SPDX-License-Identifier: Apache-2.0
"""Internal calls between two lines of one unit: one line dials the other's extension, and the other rings."""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap_core.clock import NS_PER_S

RINGS_WITHIN_NS = 5 * NS_PER_S


def called_by_neighbour(line: LineContext) -> bool:
    """Whether another line of this unit has dialled this line, which rings."""
    return any(
        (other.memory.state in ("off_hook", "passing", "carrier") and _is_one_call(other, line))
        or (other.memory.state == "new_party" and _is_consulted(other, line))
        for other in line.shared.lines
        if other is not line
    )


def was_handed_on(line: LineContext) -> bool:
    """Whether the line that called this line has left, so that its own caller is now on this line.

    The other line called during a call of its own. Its flash back to that caller may also join all three.
    """
    call = line.memory.call
    if call is None or call.direction != "in":
        return False
    if call.consulted_by is None:
        for other in line.shared.lines:
            if other is not line and other.memory.state == "new_party" and _is_consulted(other, line):
                call.consulted_by = other.call.call_id
        return False
    still = any(
        other.memory.call is not None
        and other.memory.call.call_id == call.consulted_by
        and other.memory.state == "new_party"
        for other in line.shared.lines
    )
    if not still:
        call.consulted_by = None
    return not still


def _is_consulted(by: LineContext, called: LineContext) -> bool:
    """Whether `by` has a party on hold and has dialled `called`, or is its caller by number."""
    call, caller = by.memory.call, called.call.caller
    if call is None or call.first_frame is None:
        return False
    named = caller is not None and caller.number is not None and caller.number == by.config.extension
    return named or (bool(call.redialled) and call.redialled == called.config.extension)


def neighbour_answer_ns(line: LineContext) -> int | None:
    """The monotonic time at which the dialled line was picked up; None: not yet.

    Monotonic time is used because each call dates its frames by its own anchor.
    """
    for other in line.shared.lines:
        if other is not line and _is_one_call(line, other):
            answer = other.memory.call
            if answer is not None and answer.answered_ns is not None:
                return other.anchor.mono_ns_at(answer.answered_ns)
    return None


def _is_one_call(dialled_by: LineContext, called: LineContext) -> bool:
    """Whether the dialled number is the extension and the line rang soon after it.

    After a busy tone, the line rang for another call.
    """
    dialling, rung = dialled_by.memory.call, called.memory.call
    if dialling is None or rung is None or rung.ring_ns is None or dialling.dialled_ns is None or dialling.tone:
        return False
    if dialling.digits_incomplete:
        return False
    rang_ns = called.anchor.mono_ns_at(rung.ring_ns)
    soon = 0 <= rang_ns - dialled_by.anchor.mono_ns_at(dialling.dialled_ns) <= RINGS_WITHIN_NS
    return soon and dialling.direction == "out" and dialling.dialled == called.config.extension
