# SPDX-License-Identifier: Apache-2.0
"""The beginning of a call: ringing, off-hook, or a handset that was not put down after the last call."""

from __future__ import annotations

from linetap.recorder.calls.answer import handle_answer
from linetap.recorder.calls.call import Call, Key
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.dialling import add_dialled_digit, restart_dialling
from linetap.recorder.calls.ending import end_call, end_without_recording, leave_unrecorded
from linetap.recorder.signals.caller.callerid import CallerHeard, caller_id, read_digits
from linetap.recorder.signals.events import Event
from linetap.ring import NS_PER_FRAME, RATE_HZ
from linetap_core.records import Caller

MOST_KEYS = 32


def keep_caller_digit(line: LineContext, event: Event) -> None:
    """Keeps a digit detected on-hook: some exchanges send caller ID in digits before or between the rings."""
    line.memory.idle_keys = [*line.memory.idle_keys, Key(event.at, event.text, event.level_dbm0)][-MOST_KEYS:]


def begin_incoming(line: LineContext, event: Event) -> None:
    """Begins an incoming call at the first burst of ringing."""
    line.memory.call = Call(
        call_id=line.new_call_id(event.at),
        line=line.config.number,
        direction="in",
        anchor=line.anchor_at(event.at),
        ring_ns=line.utc_ns(event.at),
        ring_frame=event.at,
        sent_from=caller_id_from(line, event.at),
        disposition="missed",
    )
    line.report("started", event.at)
    line.enter("ringing", event.at)


def read_caller_id(line: LineContext, event: Event) -> None:
    """Reads caller ID at the second burst of ringing."""
    find_caller(line, event.at)


def answered_by_hook(line: LineContext, event: Event) -> None:
    """Answers an incoming call: the handset was lifted."""
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
        digits_incomplete=event.at <= line.memory.seen_from,  # lifted within a gap: digits may have been dialled there
    )
    line.memory.continues = None
    line.report("started", event.at)
    if line.config.exempt:
        leave_unrecorded(line, event, "exempt", "line_exempt")
    else:
        line.enter("off_hook", event.at, event.known + line.policy.answer_unheard_s * RATE_HZ)


def flash_before_answer(line: LineContext, event: Event) -> None:
    """Restarts dialling after a flash before the answer; a break longer than any flash key ends the call.

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
    """Begins a call at a digit on a line whose handset was not put down."""
    begin_outgoing(line, event)
    if line.memory.state == "off_hook":
        add_dialled_digit(line, event)


def talk_while_held(line: LineContext, event: Event) -> None:
    """Begins a record that continues a call, at speech long after the call's end by tone."""
    begin_outgoing(line, event)
    if line.memory.state == "off_hook":
        line.call.direction = "unknown"
        handle_answer(line, event, "tone")


def hang_up_while_held(line: LineContext, event: Event) -> None:
    """Sets the line idle: the handset is back on its cradle."""
    line.memory.continues = None
    line.enter("idle", event.at)


def note_call_waiting(line: LineContext, event: Event) -> None:
    """Remembers the call-waiting tone in an unrecorded call."""
    line.call.waiting |= event.text == "call_waiting"


def replace_passing_party(line: LineContext, event: Event) -> None:
    """After a flash, ends an unrecorded call that had call waiting and begins one with the waiting party.

    Policy may decide otherwise for the second party than for the first.
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
    """Begins a new call at a digit after a flash in an unrecorded call."""
    call = line.call
    if not line.config.exempt and call.flashed_at is not None:
        end_call(line, Event(event.known, event.name, call.flashed_at), call.disposition, call.why)
        dial_while_held(line, event)


# --- Caller ID: read once a call from the audio before the first ring and between the first two rings -----------------


LONGEST_PAUSE = 6 * RATE_HZ  # between two bursts; later audio is no caller ID
DIGITS_BEFORE = 10 * RATE_HZ  # before the first burst; earlier digits belong to no call


def caller_id_from(line: LineContext, ring: int) -> int:
    """The frame from which caller ID may have been sent before the first burst at `ring`: after any earlier call."""
    since_ns = max(0, line.utc_ns(ring) - line.memory.since_ns) if line.memory.state == "idle" else 0
    longest = line.profile.caller_id.before_ring_ms * RATE_HZ // 1000
    return max(0, line.memory.seen_from, ring - min(longest, since_ns // NS_PER_FRAME))


def find_caller(line: LineContext, until: int) -> None:
    """Sets the call's caller, once a call, from the audio before the first burst and up to the second or the answer."""
    call = line.call
    if call.ring_frame is None:
        return
    first, call.ring_frame = call.ring_frame, None
    kind = line.config.caller_id
    if kind == "off" or line.config.exempt:
        return
    before = first if call.sent_from is None else call.sent_from
    until = min(until, first + LONGEST_PAUSE)
    numbers, fsk = line.profile.caller_id, line.profile.fsk
    found: CallerHeard | None = None
    for begin, end in ((first, until), (before, first)):
        if kind != "dtmf" and end > begin and (found is None or not found.readable):
            audio = line.shared.audio.stretch(line.config.number, begin, end).samples
            found = caller_id(audio, kind, None, numbers, fsk) or found
    if kind in ("dtmf", "auto") and (found is None or not found.readable):
        found = _by_digits(line, first, until) or found
    if found is not None:
        call.caller = Caller(
            number=found.number, name=found.name, by=found.by, withheld=found.withheld, unreadable=not found.readable
        )


def _by_digits(line: LineContext, first: int, until: int) -> CallerHeard | None:
    """Caller ID in DTMF before and between the bursts: all digits together, else those of one train."""
    numbers = line.profile.caller_id
    keys = [key for key in line.memory.idle_keys if first - DIGITS_BEFORE <= key.at < until and key.level_dbm0]
    together = "".join(key.digit for key in keys)
    if any(letter in together for letter in "AD"):
        return read_digits(together, numbers)
    gap = numbers.bare_gap_ms * RATE_HZ // 1000
    trains: list[list[Key]] = []
    for key in keys:
        if trains and key.at - trains[-1][-1].at <= gap:
            trains[-1].append(key)
        else:
            trains.append([key])
    for train in reversed(trains):
        whole = train[0].at - line.memory.seen_from > gap  # else its first digits may lie in a gap
        found = read_digits("".join(key.digit for key in train), numbers) if whole else None
        if found is not None:
            return found
    return None
