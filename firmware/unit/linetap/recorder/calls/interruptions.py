# SPDX-License-Identifier: Apache-2.0
"""Interruptions of a situation's notice: staff stop it, another party comes, or the call ends by itself."""

from __future__ import annotations

from linetap.recorder.calls import redial
from linetap.recorder.calls.codes import add_key, is_of_staff
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.ending import end_recording
from linetap.recorder.calls.endnotice import abandon_step, end_step
from linetap.recorder.calls.parties import FAR_END_GONE
from linetap.recorder.signals.events import Event


def digit_in_notice(line: LineContext, event: Event) -> None:
    """A key of this telephone stops the notice; one of the far end does nothing."""
    if is_of_staff(line, event):
        _cancel(line, event)
        redial.digit_in_call(line, event)
    else:
        add_key(line, event)


def flash_in_notice(line: LineContext, event: Event) -> None:
    """A flash is staff's too; whoever it brings has not been told anything."""
    _cancel(line, event)
    redial.flash_in_recording(line, event)


def tone_in_notice(line: LineContext, event: Event) -> None:
    """A tone: another party, or the far end has hung up by itself."""
    if event.text == "call_waiting":
        line.call.waiting = True
        abandon_step(line, event, "another_party")
    elif event.text == "ringback":
        abandon_step(line, event, "another_party")
        redial.tone_in_recording(line, event)
    elif event.text in (*FAR_END_GONE, "dial"):
        _end_step(line, event.at)
        line.enter("recording", event.known)
        redial.tone_in_recording(line, event)


def hung_up_in_notice(line: LineContext, event: Event) -> None:
    """Staff hung up, or the exchange broke the loop; that is known only a second later."""
    _end_step(line, event.at)
    end_recording(line, event)


def _end_step(line: LineContext, until: int) -> None:
    """Ends the step; the record keeps its end unless nothing of the notice was on the line."""
    call, step = line.call, end_step(line, until)
    if step.started is None or until <= step.started:
        call.end = None
    if step.then == "end":
        call.end_spoken = step.ended


def _cancel(line: LineContext, event: Event) -> None:
    call, step = line.call, end_step(line, event.at)
    call.end = None
    call.time_off |= step.by == "time"  # staff have decided; more time by its code brings it back
    line.add_mark(event, "end_cancelled")
    line.report("end_cancelled", event.at, situation=step.situation)
    line.enter("recording", event.known)
