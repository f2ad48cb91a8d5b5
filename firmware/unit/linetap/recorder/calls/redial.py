# SPDX-License-Identifier: Apache-2.0
"""Detects new calls that the loop alone does not show.

A handset put down for less than a second looks like a flash. A break longer than any flash key, with a number after
it, separates two calls; until that is decided, no audio after the break is written.

A handset lifted in the pause after the last ring of a caller who has given up looks like an answer. Dial tone, or a
number dialled at this end before any speech, shows that the caller had left: the call was missed, and an outgoing call
begins. In the first seconds without speech, no audio of a call that may have been missed is written, even after its
notice.
"""

from __future__ import annotations

from itertools import pairwise

from linetap.recorder.calls import earlynotice, gate, parties
from linetap.recorder.calls.begin import begin_outgoing, dial_while_passing, note_call_waiting
from linetap.recorder.calls.call import MOST_DIGITS, Key
from linetap.recorder.calls.codes import KEYS_WITHIN_S, add_key, begins_a_code, may_be_near
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.dialling import add_dialled_digit
from linetap.recorder.calls.ending import end_by_tone_still_held, end_call, end_recording
from linetap.recorder.calls.evidence.windows import first_window
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.tones.stretch import tone_windows
from linetap.ring import RATE_HZ

NUMBER_DIGITS = 7  # of a public number dialled without dial tone: fewer digits may be keys of the caller
LIFTED_MS = 700  # people wait for dial tone before they dial: earlier keys are the caller's
A_DIGITS_MS = 150  # a voice that begins this close to a digit is the digit itself
DIAL_TONE_WINDOWS = 8  # of 20 ms, consecutive up to the notice; speech holds the pair for 110 ms at most


def flash_in_recording(line: LineContext, event: Event) -> None:
    """Handles a flash in a recording: another party may join, or a new call may follow a long break."""
    parties.flash_in_recording(line, event)
    if line.memory.state == "recording":
        parties.note_flash(line, event, spoken=event.at < line.call.notice_until)  # during it no voice is detected
    note_break(line, event)


def flash_in_notice(line: LineContext, event: Event) -> None:
    """Handles a flash before or during the notice."""
    line.call.flashed_at = event.known
    parties.flash_in_notice(line, event)
    note_break(line, event)


def withdraw_end(line: LineContext, event: Event) -> None:
    """Withdraws an end by tone after a flash or a voice."""
    parties.withdraw_end(line, event)
    if event.name == "flash":
        note_break(line, event)


def flash_to_first_party(line: LineContext, event: Event) -> None:
    """Handles a flash while a second party is called."""
    parties.flash_to_first_party(line, event)
    line.call.flashed_at = event.known
    note_break(line, event)


def note_break(line: LineContext, event: Event) -> None:
    """Withholds the audio after a break longer than any flash key, until it is known whether a number follows."""
    if event.known - event.at >= line.profile.flash_key_max_ms * FRAMES_PER_MS:
        line.call.put_down_at = event.at
        _wait_for_number(line, event.known)


def tone_in_recording(line: LineContext, event: Event) -> None:
    """Handles a tone in a recording: dial tone may show that the call was missed, or that a number follows."""
    if _dial_tone_after_a_lift(line, event):
        return
    if event.text == "dial" and line.call.put_down_at is not None:
        _wait_for_number(line, event.known)
    parties.wait_for_dial_tone(line, event)
    earlynotice.tone_in_recording(line, event)


def tone_gone_in_recording(line: LineContext, event: Event) -> None:
    """Handles the end of a tone in a recording."""
    parties.dial_tone_gone(line, event)
    parties.tone_gone_in_recording(line, event)


def digit_in_call(line: LineContext, event: Event) -> None:
    """Handles a digit: of a new call, of an outgoing call after a missed one, or within the call."""
    call = line.call
    _type(line, event)
    if _is_redialled(line, event):
        assert call.put_down_at is not None
        keys = [each for each in call.typed if each.at >= call.put_down_at]
        down_at, lifted_at = max(call.put_down_at, _withheld_until(line)), call.flashed_at or event.known
        _end_at(line, Event(event.known, "on_hook", down_at))
        _goes_out(line, event, lifted_at - line.profile.lift_debounce_ms * FRAMES_PER_MS, keys)
    elif keys := _dialled_after_a_lift(line, event):
        _was_missed(line, event, keys)
        _judge_no_number(line)
    else:
        parties.digit_in_recording(line, event)


def digit_after_end(line: LineContext, event: Event) -> None:
    """Handles a digit after the far end hung up: of a code, or of a new call at dial tone."""
    call = line.call
    add_key(line, event)
    if call.tone != "dial":
        return
    _type(line, event)
    keys = [each for each in call.typed if each.at >= call.tone_at]
    if not begins_a_code(line, "".join(each.digit for each in keys)):
        end_by_tone_still_held(line, event)
        line.memory.continues = None
        _goes_out(line, event, event.at, keys)


def digit_with_new_party(line: LineContext, event: Event) -> None:
    """Handles a digit of the second party's number, or of the notice code after another party has joined."""
    call = line.call
    if add_key(line, event) == "near" and call.first_frame is not None:
        parties.announce_by_code(line, event)
        return
    typed = [each.digit for each in call.keys]
    if call.redialled and begins_a_code(line, "".join(typed)):
        return  # the digits after a pause are part of a code, or undecided
    held = call.keys[:-1] if call.redialled and begins_a_code(line, "".join(typed[:-1])) else []
    for each in held:
        add_dialled_digit(line, Event(event.known, "digit", each.at, each.digit, each.level_dbm0))
    add_dialled_digit(line, event)


def digit_while_passing(line: LineContext, event: Event) -> None:
    """Handles a digit in an unrecorded call: of a code, or of a new call."""
    _type(line, event)
    call = line.call
    if call.flashed_at is not None:
        keys = [each for each in call.typed if each.at >= call.flashed_at]
        if begins_a_code(line, "".join(each.digit for each in keys)):
            return
        if not line.config.exempt and len(keys) > 1:
            end_call(line, Event(event.known, event.name, call.flashed_at), call.disposition, call.why)
            _goes_out(line, event, keys[0].at, keys)
            return
    if keys := _dialled_after_a_lift(line, event):
        _was_missed(line, event, keys)
        _judge_no_number(line)
    else:
        dial_while_passing(line, event)


def notice_started(line: LineContext, event: Event) -> None:
    """Examines the audio for dial tone when the notice begins, the last moment without the notice's sound."""
    if may_have_been_missed(line, event.at) and _has_dial_tone(line, event.at):
        _was_missed(line, event, line.call.typed)
    else:
        gate.notice_started(line, event)


def tone_before_notice(line: LineContext, event: Event) -> None:
    """Handles a tone before the notice: dial tone shows that the caller had given up."""
    if not _dial_tone_after_a_lift(line, event):
        earlynotice.tone_under_notice(line, event)


def tone_while_passing(line: LineContext, event: Event) -> None:
    """Handles a tone in an unrecorded call."""
    if not _dial_tone_after_a_lift(line, event):
        note_call_waiting(line, event)


def _dial_tone_after_a_lift(line: LineContext, event: Event) -> bool:
    if event.text != "dial" or not may_have_been_missed(line, event.at):
        return False
    _was_missed(line, event, line.call.typed)
    return True


def _type(line: LineContext, event: Event) -> None:
    pressed = Key(event.at, event.text, event.level_dbm0)
    line.call.typed = [*line.call.typed, pressed][-MOST_DIGITS:]


def note_voice(line: LineContext, event: Event) -> None:
    """Remembers a voice, unless it is a digit: a person is on the line."""
    if not any(abs(each.at - event.at) <= A_DIGITS_MS * FRAMES_PER_MS for each in line.call.typed):
        line.call.spoken = True
        parties.voice_after_flash(line, event)


def certain_until(line: LineContext, frame: int) -> int:
    """The frame up to which, but not beyond `frame`, the recording is certainly this call's."""
    call, certain = line.call, frame
    if call.put_down_at is not None and frame < call.put_down_until:
        certain = call.put_down_at
    elif call.first_frame is not None and may_have_been_missed(line, frame):
        certain = call.first_frame
    return min(frame, parties.announced_until(line, frame), max(certain, _withheld_until(line)))


def may_have_been_missed(line: LineContext, frame: int) -> bool:
    """Whether the call may have been missed: the handset was lifted in a pause of ringing, and no voice came since.

    A handset lifted during a burst of ringing has answered.
    """
    call, rang_until = line.call, line.memory.hook.ringing.rang_until
    if call.direction != "in" or call.ring_ns is None or call.answered_by != "hook" or call.continues:
        return False
    if call.spoken or call.flashed_at is not None:
        return False
    if line.config.exempt or rang_until is None or rang_until >= _lifted_at(line):
        return False
    return frame - _lifted_at(line) <= line.profile.redial_ms * FRAMES_PER_MS


def _wait_for_number(line: LineContext, frame: int) -> None:
    line.call.put_down_until = frame + line.profile.redial_ms * FRAMES_PER_MS


def _withheld_until(line: LineContext) -> int:
    return line.call.withheld[-1][1] if line.call.withheld else 0


def _is_redialled(line: LineContext, event: Event) -> bool:
    call = line.call
    if call.put_down_at is None or event.at >= call.put_down_until:
        return False
    return not begins_a_code(line, "".join(each.digit for each in call.typed if each.at >= call.put_down_at))


def _end_at(line: LineContext, down: Event) -> None:
    match line.memory.state:
        case "greeting" | "notice_wait" | "fax_wait":
            gate.ended_before_notice(line, down)
        case "notice":
            gate.ended_during_notice(line, down)
        case _:
            end_recording(line, down)


def _goes_out(line: LineContext, event: Event, lifted_at: int, keys: list[Key]) -> None:
    begin_outgoing(line, Event(event.known, "off_hook", lifted_at))
    for each in keys:
        if line.memory.state == "off_hook":
            add_dialled_digit(line, Event(event.known, "digit", each.at, each.digit, each.level_dbm0))
    if line.memory.state == "off_hook":
        # Earlier audio has been judged, and our own notice in it could be mistaken for an answer.
        line.memory.next_window = first_window("off_hook", event.known)


def _lifted_at(line: LineContext) -> int:
    assert line.call.off_hook_ns is not None
    return line.anchor.frame_at(line.call.off_hook_ns)


def _dialled_after_a_lift(line: LineContext, event: Event) -> list[Key]:
    """The digits of a number that was dialled at this end after lifting, or an empty list."""
    if not may_have_been_missed(line, event.at):
        return []
    keys, first_at = line.call.typed, _lifted_at(line) + LIFTED_MS * FRAMES_PER_MS
    if len(keys) < NUMBER_DIGITS or not all(each.digit.isdecimal() and each.at >= first_at for each in keys):
        return []
    if any(after.at - before.at > KEYS_WITHIN_S * RATE_HZ for before, after in pairwise(keys)):
        return []
    return keys if all(may_be_near(line, each) for each in keys) else []


def _judge_no_number(line: LineContext) -> None:
    """Excludes the number from policy: without dial tone, the keys may have been pressed at the far end."""
    if line.memory.state == "off_hook":
        line.call.digits_incomplete = True


def _has_dial_tone(line: LineContext, until: int) -> bool:
    audio = line.shared.audio.stretch(line.config.number, _lifted_at(line), until).samples
    windows = tone_windows(audio, line.profile, "dial")[-DIAL_TONE_WINDOWS:]
    return len(windows) == DIAL_TONE_WINDOWS and bool(windows.all())


def _was_missed(line: LineContext, event: Event, keys: list[Key]) -> None:
    """Ends the call as missed and begins the outgoing one."""
    call, rang_until = line.call, line.memory.hook.ringing.rang_until
    assert rang_until is not None
    gate.stop_notice(line)
    lifted_at = _lifted_at(line)
    call.off_hook_ns, call.answered_ns, call.answered_by, call.notices, call.notice_from = None, None, None, [], None
    end_call(line, Event(event.known, "ring_gone", rang_until), "missed", "not_answered")
    _goes_out(line, event, lifted_at, keys)
