# SPDX-License-Identifier: Apache-2.0
"""The answer of a call: the call is announced, or policy leaves it unrecorded.

The person who answers an incoming call speaks first ("네, 민원실입니다"). The notice waits for the end of that
greeting: at most `recording.greeting_max_ms`, less in silence. No greeting is recorded, since nothing is recorded
before the notice.
"""

from __future__ import annotations

from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.doubtfulanswer import UNKNOWN, is_doubtful
from linetap.recorder.calls.ending import leave_unrecorded
from linetap.recorder.calls.gate import ask_for_notice
from linetap.recorder.calls.neighbours import called_by_neighbour
from linetap.recorder.calls.policy import internal_by, reason_to_skip
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.notice.greeting import has_ended
from linetap.ring import RATE_HZ
from linetap_core.records import AnswerConfidence, AnsweredBy, AnswerRecord

EXAMINED_EVERY = 50 * FRAMES_PER_MS


def handle_answer(
    line: LineContext, event: Event, by: AnsweredBy, sure: AnswerConfidence = "certain", evidence: tuple[str, ...] = ()
) -> None:
    """Records the answer, then announces the call or leaves it unrecorded, as policy decides."""
    call = line.call
    record_answer(line, event, by, sure, evidence)
    caller = call.caller.number if call.caller else None
    dialled = "" if call.digits_incomplete else call.dialled  # digits may be missing: the number would be another one
    call.internal_by = internal_by(line.policy, dialled, caller) or call.internal_by
    if call.direction == "in" and called_by_neighbour(line):
        call.internal_by = "ring"
    line.report("answered", event.at)
    if line.config.exempt:
        leave_unrecorded(line, event, "exempt", "line_exempt")
    elif skip := reason_to_skip(line.policy, dialled, call.internal_by is not None):
        leave_unrecorded(line, event, "skipped", skip)
    elif why := line.shared.vault.refused():
        leave_unrecorded(line, event, "discarded", why)
    else:
        announce_call(line, event)


def record_answer(
    line: LineContext, event: Event, by: AnsweredBy, sure: AnswerConfidence, evidence: tuple[str, ...]
) -> None:
    """Writes the answer and its evidence into the call; an answer without proof is `guessed`."""
    call = line.call
    call.answered_ns, call.answered_by, call.guessed = line.utc_ns(event.at), by, is_doubtful(by, evidence)
    call.answer = AnswerRecord(by, sure, list(evidence or (by,)))
    call.why = UNKNOWN if call.guessed else "" if call.why == UNKNOWN else call.why


def answer_by_neighbour(line: LineContext, event: Event) -> None:
    """Answers an internal call by hook: the dialled extension, another line of this unit, was picked up."""
    line.call.internal_by = "ring"
    handle_answer(line, event, "hook")


def announce_call(line: LineContext, event: Event) -> None:
    """Requests the notice of a call that was just answered, or starts to wait for the end of the greeting."""
    call, policy = line.call, line.policy
    delay, lead = policy.notice_delay_ms * FRAMES_PER_MS, line.profile.greeting.lead_ms * FRAMES_PER_MS
    waited = event.known - event.at
    if waited > lead:  # the answer became certain so late that part of the delay has passed
        delay = min(delay, max(lead, delay - waited))
    earliest = event.known + delay
    call.greeting_from = event.known
    if call.direction != "in" or _latest(line) - lead <= event.known:
        ask_for_notice(line, earliest, event)
    else:
        line.enter("greeting", event.at, max(event.known + EXAMINED_EVERY, earliest - lead))


def listen_for_greeting(line: LineContext, event: Event) -> None:
    """Examines the audio since the answer; requests the notice at the greeting's end, else sets the next deadline."""
    numbers, since, now = line.profile.greeting, line.call.greeting_from, event.known
    lead, latest = numbers.lead_ms * FRAMES_PER_MS, _latest(line)
    audio = line.shared.audio.stretch(line.config.number, since, now).samples
    if has_ended(audio, numbers) or now + lead >= latest:
        ask_for_notice(line, now + lead, event)
    else:
        line.memory.deadline = now + EXAMINED_EVERY


def _latest(line: LineContext) -> int:
    """The frame at which the notice begins even if the greeting continues."""
    return line.call.greeting_from + line.policy.greeting_max_ms * RATE_HZ // 1000
