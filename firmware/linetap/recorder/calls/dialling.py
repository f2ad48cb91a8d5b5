# SPDX-License-Identifier: Apache-2.0
"""Until the other side answers: digits, ringback, busy, voice. Also of a second party in the middle of a call.

A line on which nothing was dialled and that the exchange has told so by busy tone is a handset off its cradle: only a
voice makes a call of it.
"""

from __future__ import annotations

from linetap.recorder.calls import parties
from linetap.recorder.calls.answer import answered
from linetap.recorder.calls.call import MOST_DIGITS
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.marks import learn_near_end
from linetap.recorder.signals.event import Event
from linetap.records import AnsweredBy
from linetap.ring import RATE_HZ

NO_ANSWER = ("busy", "congestion", "unobtainable")


def dialled(line: LineContext, event: Event) -> None:
    call = line.call
    if call.first_frame is None:
        call.dialled = (call.dialled + event.text)[:MOST_DIGITS]
    else:
        call.redialled = (call.redialled + event.text)[:MOST_DIGITS]
    call.dialled_ns = line.utc_ns(event.at)
    learn_near_end(line, event)
    _expect_answer(line, event)


def dials_anew(line: LineContext, event: Event) -> None:
    """A flash before anybody answered: the exchange waits for another number."""
    call = line.call
    call.dialled, call.ringback_over, call.voice_frame, call.tone = "", False, None, ""
    line.memory.deadline = event.known + line.policy.answer_unheard_s * RATE_HZ


def progress(line: LineContext, event: Event) -> None:
    """Ringback: the other side rings, and the time to its answer begins anew. Busy: there is none to wait for. Where a
    walk test asks for the line it is answer enough: nobody is there whom the notice could reach by mistake."""
    call = line.call
    if event.text == "ringback":
        call.ringback_over, call.tone = False, ""
        _expect_answer(line, event)
    elif event.text in NO_ANSWER and line.memory.on_trial and call.direction == "out":
        answer(line, event, "tone")
    elif event.text in NO_ANSWER or event.text == "dial":
        call.tone = event.text
        line.memory.deadline = None


def progress_over(line: LineContext, event: Event) -> None:
    call = line.call
    if event.text == "ringback":
        call.ringback_over = True
        if call.voice_frame is not None and call.voice_frame >= event.at:
            answer(line, Event(event.known, "voice", call.voice_frame), "tone")
    elif event.text == "dial" and call.tone == "dial" and not _number(line):
        call.tone = ""
        line.memory.deadline = event.known + line.policy.answer_unheard_s * RATE_HZ
    elif event.text in NO_ANSWER and _number(line):
        _expect_answer(line, event)


def voice(line: LineContext, event: Event) -> None:
    line.call.voice_frame = event.at
    if line.call.ringback_over:
        answer(line, event, "tone")


def talk(line: LineContext, event: Event) -> None:
    """Two seconds of voice, where nothing was dialled: the handset was lifted just as the line began to ring."""
    if not _number(line) and line.call.tone != "dial":
        answer(line, event, "tone")


def by_polarity(line: LineContext, event: Event) -> None:
    answer(line, event, "polarity")


def by_timeout(line: LineContext, event: Event) -> None:
    answer(line, event, "timeout")


def answer(line: LineContext, event: Event, by: AnsweredBy) -> None:
    call = line.call
    if call.first_frame is None:
        answered(line, event, by)
        return
    if call.answered_by is None:  # of the only party, after a guess that was wrong
        call.answered_ns, call.answered_by = line.utc_ns(event.at), by
    call.guessed = by == "timeout"
    parties.announce_again(line, event)


def _number(line: LineContext) -> str:
    return line.call.dialled if line.call.first_frame is None else line.call.redialled


def _expect_answer(line: LineContext, event: Event) -> None:
    line.memory.deadline = event.known + line.policy.answer_timeout_s * RATE_HZ
