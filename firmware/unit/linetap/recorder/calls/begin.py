# SPDX-License-Identifier: Apache-2.0
"""How a call begins: by ringing, by off-hook, or on a line that was not put down after the last call."""

from __future__ import annotations

from linetap.recorder.calls.answer import handle_answer
from linetap.recorder.calls.call import Call, Key
from linetap.recorder.calls.caller import caller_id_from, find_caller
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.dialling import add_dialled_digit, restart_dialling
from linetap.recorder.calls.ending import end_call, end_without_recording, leave_unrecorded
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ

MOST_KEYS = 32


def keep_caller_digit(line: LineContext, event: Event) -> None:
    """Keeps a digit heard on-hook: some exchanges send caller ID in digits before or between the rings."""
    line.memory.heard = [*line.memory.heard, Key(event.at, event.text, event.level_dbm0)][-MOST_KEYS:]


def begin_incoming(line: LineContext, event: Event) -> None:
    """Begins an incoming call at the first burst of ringing."""
    line.memory.call = Call(
        call_id=line.new_call_id(event.at),
        line=line.config.number,
        direction="in",
        anchor=line.anchor_at(event.at),
        ring_ns=line.utc_ns(event.at),
        ring_frame=event.at,
        said_from=caller_id_from(line, event.at),
        disposition="missed",
    )
    line.report("started", event.at)
    line.go("ringing", event.at)


def read_caller_id(line: LineContext, event: Event) -> None:
    """Reads caller ID at the second burst of ringing."""
    find_caller(line, event.at)


def answered_by_hook(line: LineContext, event: Event) -> None:
    """Answers a ringing line whose handset was lifted."""
    find_caller(line, event.at)
    line.call.off_hook_ns = line.utc_ns(event.at)
    handle_answer(line, event, "hook")


def end_missed(line: LineContext, event: Event) -> None:
    """Ends a call that stopped ringing without an answer."""
    find_caller(line, event.at)
    end_call(line, event, "missed", "not_answered")


def begin_outgoing(line: LineContext, event: Event) -> None:
    """Begins an outgoing call at off-hook."""
    line.memory.call = Call(
        call_id=line.new_call_id(event.at),
        line=line.config.number,
        direction="out",
        anchor=line.anchor_at(event.at),
        off_hook_ns=line.utc_ns(event.at),
        continues=line.memory.continues,
        unheard=event.at <= line.memory.seen_from,  # lifted within a gap: digits may have been dialled there
    )
    line.memory.continues = None
    line.report("started", event.at)
    if line.config.exempt:
        leave_unrecorded(line, event, "exempt", "line_exempt")
    else:
        line.go("off_hook", event.at, event.known + line.policy.answer_unheard_s * RATE_HZ)


def flash_before_answer(line: LineContext, event: Event) -> None:
    """A flash before the answer restarts dialling; a break longer than any flash key ends the call.

    After such a break the next number is a new call. Nothing is recorded before the answer, so a slow flash by hand
    loses nothing.
    """
    if event.known - event.at < line.profile.flash_key_max_ms * FRAMES_PER_MS:
        restart_dialling(line, event)
        return
    closed_at = event.known - line.profile.lift_debounce_ms * FRAMES_PER_MS
    end_without_recording(line, Event(event.known, "on_hook", event.at), "unanswered", line.call.tone or "not_answered")
    begin_outgoing(line, Event(event.known, "off_hook", closed_at))


def dial_while_held(line: LineContext, event: Event) -> None:
    """Begins a call by a digit on a line that was not put down."""
    begin_outgoing(line, event)
    if line.memory.state == "off_hook":
        add_dialled_digit(line, event)


def talk_while_held(line: LineContext, event: Event) -> None:
    """Begins a record that continues a call: long after its end by tone, somebody speaks again."""
    begin_outgoing(line, event)
    if line.memory.state == "off_hook":
        line.call.direction = "unknown"
        handle_answer(line, event, "tone")


def hang_up_while_held(line: LineContext, event: Event) -> None:
    """The handset is back on its cradle: the line is idle."""
    line.memory.continues = None
    line.go("idle", event.at)


def note_call_waiting(line: LineContext, event: Event) -> None:
    """Remembers that the call-waiting tone was heard in an unrecorded call."""
    line.call.waiting |= event.text == "call_waiting"


def replace_passing_party(line: LineContext, event: Event) -> None:
    """After a flash, ends an unrecorded call that had call waiting and begins one with the waiting party.

    What policy decided for the first party need not hold for the second.
    """
    call = line.call
    if line.config.exempt or not call.waiting:
        call.flashed_at = event.at
        return
    end_call(line, event, call.disposition, call.why)
    begin_outgoing(line, event)
    line.call.direction = "in"
    handle_answer(line, event, "hook")


def dial_while_passing(line: LineContext, event: Event) -> None:
    """A digit after a flash in an unrecorded call begins a new call."""
    call = line.call
    if not line.config.exempt and call.flashed_at is not None:
        end_call(line, Event(event.known, event.name, call.flashed_at), call.disposition, call.why)
        dial_while_held(line, event)
