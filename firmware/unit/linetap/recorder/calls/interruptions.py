# SPDX-License-Identifier: Apache-2.0
"""Interruptions of a situation's notice: staff stop it, another party joins, or the call ends by itself."""

from __future__ import annotations

from linetap.recorder.calls import parties, redial
from linetap.recorder.calls.codes import add_key, is_of_staff
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.ending import end_recording
from linetap.recorder.calls.endnotice import abandon_step, end_step
from linetap.recorder.signals.events import Event


def digit_in_notice(line: LineContext, event: Event) -> None:
    """Stops the notice at a key of this telephone; a key of the far end has no effect."""
    if is_of_staff(line, event):
        _cancel(line, event)
        redial.digit_in_call(line, event)
    else:
        add_key(line, event)


def flash_in_notice(line: LineContext, event: Event) -> None:
    """Stops the notice at a flash, which is staff's too; a party reached by it has not heard the notice."""
    _cancel(line, event)
    redial.flash_in_recording(line, event)


def tone_in_notice(line: LineContext, event: Event) -> None:
    """Handles a tone: another party, or the far end has hung up by itself."""
    if event.text == "call_waiting":
        line.call.waiting = True
        abandon_step(line, event, "another_party")
    elif event.text == "ringback":
        abandon_step(line, event, "another_party")
        redial.tone_in_recording(line, event)
    elif event.text in (*parties.FAR_END_GONE, "dial"):
        _end_step(line, event.at)
        line.enter("recording", event.known)
        redial.tone_in_recording(line, event)


def gap_in_notice(line: LineContext, event: Event) -> None:
    """Abandons the notice after a long gap: another party may be on the line, and their call must not be ended."""
    abandon_step(line, event, "another_party")
    parties.gap_in_recording(line, event)


def hung_up_in_notice(line: LineContext, event: Event) -> None:
    """Ends the recording: staff hung up, or the exchange broke the loop, which is certain only a second later."""
    _end_step(line, event.at)
    end_recording(line, event)


def _end_step(line: LineContext, until: int) -> None:
    """Ends the step; the record keeps the end unless no part of the notice was on the line."""
    call, step = line.call, end_step(line, until)
    if step.started is None or until <= step.started:
        call.end = None
    if step.then == "end":
        call.end_spoken = step.ended


def _cancel(line: LineContext, event: Event) -> None:
    call, step = line.call, end_step(line, event.at)
    call.end = None
    call.time_off |= step.by == "time"  # staff have decided; their code for more time restores it
    line.add_mark(event, "end_cancelled")
    line.report("end_cancelled", event.at, situation=step.situation)
    line.enter("recording", event.known)
