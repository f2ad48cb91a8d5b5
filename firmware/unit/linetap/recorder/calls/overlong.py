# SPDX-License-Identifier: Apache-2.0
"""The longest time of a call: a warning, then the end by the configured situation. Staff extend the time by a code.

The end follows `end_s - warn_s` after a warning that was heard, and never without a warning. A rule that forbids the
warning or the end postpones it. A call whose end staff have stopped continues until they extend its time; then the
warning is played again.
"""

from __future__ import annotations

from linetap.recorder.calls.call import EndStep
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.ending import answered_frame
from linetap.recorder.calls.endnotice import begin_step
from linetap.recorder.calls.endrules import refuse
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ


def warn_frame(line: LineContext) -> int | None:
    """The frame at which the warning is due; None: no warning is configured, or it was heard."""
    call, ending = line.call, line.shared.config.ending
    if not ending.warn_s or call.warned_at is not None or not _counts(line):
        return None
    after_s = ending.warn_s + call.extended * ending.extend_s
    return max(answered_frame(line) + after_s * RATE_HZ, call.put_off_to, call.plays_until, call.notice_until)


def end_frame(line: LineContext) -> int | None:
    """The frame at which the call is ended; None: no longest time is configured, or no warning was heard."""
    call, ending = line.call, line.shared.config.ending
    if not ending.end_s or call.warned_at is None or not _counts(line):
        return None
    after_s = ending.end_s - ending.warn_s
    return max(call.warned_at + after_s * RATE_HZ, call.put_off_to, call.plays_until, call.notice_until)


def _counts(line: LineContext) -> bool:
    call = line.call
    return (
        not call.time_off and call.end_spoken is None and call.answered_ns is not None and call.first_frame is not None
    )


def warn(line: LineContext, event: Event) -> None:
    """Plays the warning."""
    ending = line.shared.config.ending
    begin_step(line, event, EndStep(ending.end_situation, "warn", "time", ending.warn_notice, event.at))


def end(line: LineContext, event: Event) -> None:
    """Ends the call by the situation that is configured for the longest time."""
    name = line.shared.config.ending.end_situation
    situation = line.shared.config.situation_named(name)
    if situation is None or not situation.notice:  # the configuration was replaced during the call
        line.call.time_off = True
        return
    begin_step(line, event, EndStep(name, "end", "time", situation.notice, event.at))


def extend(line: LineContext, event: Event) -> None:
    """Extends the call's time: staff have dialled the code for more time."""
    call, ending = line.call, line.shared.config.ending
    if call.extended >= ending.extend_most:
        refuse(line, event, ending.end_situation, "no_more_time", by_time=False)
        return
    call.extended += 1
    call.warned_at, call.time_off, call.put_off, call.put_off_to = None, False, 0, 0
    line.add_mark(event, "extended")
    line.report("extended", event.at, situation=ending.end_situation)
