# SPDX-License-Identifier: Apache-2.0
"""A call is answered: it is announced, or policy says why it is not."""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.doubt import UNKNOWN, doubted
from linetap.recorder.calls.ending import pass_by
from linetap.recorder.calls.greeting import announce
from linetap.recorder.calls.neighbours import called_by_neighbour
from linetap.recorder.calls.policy import internal_by, reason_to_skip
from linetap.recorder.signals.event import Event
from linetap_core.records import AnswerConfidence, AnsweredBy, AnswerRecord


def answered(
    line: LineContext, event: Event, by: AnsweredBy, sure: AnswerConfidence = "certain", evidence: tuple[str, ...] = ()
) -> None:
    call = line.call
    write_down(line, event, by, sure, evidence)
    caller = call.caller.number if call.caller else None
    dialled = "" if call.unheard else call.dialled  # what is left of a number is another number
    call.internal_by = internal_by(line.policy, dialled, caller) or call.internal_by
    if call.direction == "in" and called_by_neighbour(line):
        call.internal_by = "ring"
    line.report("answered", event.at)
    if line.config.exempt:
        pass_by(line, event, "exempt", "line_exempt")
    elif skip := reason_to_skip(line.policy, dialled, call.internal_by is not None):
        pass_by(line, event, "skipped", skip)
    elif why := line.around.vault.refused():
        pass_by(line, event, "discarded", why)
    else:
        announce(line, event)


def write_down(
    line: LineContext, event: Event, by: AnsweredBy, sure: AnswerConfidence, evidence: tuple[str, ...]
) -> None:
    call = line.call
    call.answered_ns, call.answered_by, call.guessed = line.utc_ns(event.at), by, doubted(by, evidence)
    call.answer = AnswerRecord(by, sure, list(evidence or (by,)))
    call.why = UNKNOWN if call.guessed else "" if call.why == UNKNOWN else call.why


def answered_by_neighbour(line: LineContext, event: Event) -> None:
    """A line of this unit, whose extension was dialled, rang and was picked up."""
    line.call.internal_by = "ring"
    answered(line, event, "hook")
