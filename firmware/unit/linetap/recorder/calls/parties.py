# SPDX-License-Identifier: Apache-2.0
"""Changes during a recording: the far end hangs up, or another party joins.

A new party has not heard the notice: no audio is written from that moment (`paused_at`) until the notice has played
again. The pause becomes a gap `not_announced`.

**With dialling.** A flash and a number call a second party; ringback during the call has the same meaning.

**Without dialling.** A flash takes a waiting call, or the far end transfers the call. A voice after a flash, without
digits, may be another party's. The call-waiting tone is not required: one beep is easily missed under a voice. Music
means that the far end holds the call, and the voice after it may be another party's. The record has `party_unknown`
where there is no other evidence. No audio is written from the flash, or from the first word after the music, until the
notice.
"""

from __future__ import annotations

from linetap.recorder.calls.codes import add_key, begins_a_code
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.ending import end_by_tone_still_held
from linetap.recorder.calls.gate import ask_for_notice
from linetap.recorder.calls.policy import internal_by, reason_to_skip
from linetap.recorder.signals.events import SPEECH, Event
from linetap.recorder.signals.sound.classes import spectrum_steadiness
from linetap.ring import RATE_HZ

FAR_END_GONE = ("busy", "congestion")
MOST_NUMBERS = 16  # of further parties in a record
DIALS_WITHIN_S = 60  # after a flash; later digits are meant for the party on the line
SPOKEN_WITHIN_S = 60  # after a flash; a later voice is the party that was on the line
MOST_HELD_AGAIN = 3  # most notices during one song, where a singer is mistaken for a speaker
WORD_IS_LATE_S = 2  # longest time from a word to its detection
# From a test call's digit to its notice: no second digit is expected. Cisco's gateways end a number that may be whole
# after this time (`timeout tcrit` of MGCP, default 4 s).
TEST_CALL_S = 4


def flash_in_recording(line: LineContext, event: Event) -> None:
    """Handles a flash: with call waiting, the other party is reached at once; else digits may follow."""
    call = line.call
    if call.waiting:
        call.waiting = False
        pause_recording(line, event.at)
        announce_again(line, event)
    else:
        call.flashed_at = event.known


def tone_in_recording(line: LineContext, event: Event) -> None:
    """Handles a tone: the far end has hung up, another call waits, or a second party is called."""
    call = line.call
    if event.text in FAR_END_GONE:
        call.tone, call.tone_at, call.tone_known = event.text, event.at, event.known
        line.enter("tone_end", event.known, event.known + line.policy.tone_end_s * RATE_HZ)
    elif event.text == "dial" and call.flashed_at is None:  # after a flash, dial tone only invites digits
        call.dial_at = event.at
    elif event.text == "call_waiting":
        call.waiting = True
    elif event.text == "ringback":  # of a second party, or of a transfer by the far end
        _second_party(line, event)
        wait_for_answer(line, event)


def tone_gone_in_recording(line: LineContext, event: Event) -> None:
    """Handles the end of dial tone."""
    if event.text == "dial":
        line.call.dial_at = None


def dial_tone_lasts(line: LineContext, event: Event) -> None:
    """Ends the call by dial tone without a flash: the exchange offers a new call, so the far end has hung up."""
    call = line.call
    assert call.dial_at is not None
    call.tone, call.tone_at, call.tone_known, call.dial_at = "dial", call.dial_at, event.known, None
    line.enter("tone_end", event.known, event.known + line.policy.tone_end_s * RATE_HZ)


def digit_in_recording(line: LineContext, event: Event) -> None:
    """Handles a digit during the call: of a code, or, after a flash, of a second party's number."""
    call = line.call
    if add_key(line, event) == "near":
        announce_by_code(line, event)
        return
    if call.flashed_at is None or event.at - call.flashed_at > DIALS_WITHIN_S * RATE_HZ:
        return
    typed = "".join(each.digit for each in call.keys if each.at >= call.flashed_at)
    if not begins_a_code(line, typed):
        _second_party(line, event)
        call.redialled = typed
        wait_for_answer(line, event)


def announce_by_code(line: LineContext, event: Event) -> None:
    """Plays the notice after staff have dialled its code; nothing is written until then."""
    call = line.call
    call.notice_tries, call.flashed_at, call.swapped_at = 0, None, None
    pause_recording(line, event.at)
    call.put_down_at = None
    ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def gap_in_recording(line: LineContext, event: Event) -> None:
    """Announces again after a long gap: in it the call may have ended, and another may have begun."""
    call = line.call
    if call.redialled:
        call.also_dialled = [*call.also_dialled, call.redialled][-MOST_NUMBERS:]
    call.party_unknown, call.flashed, call.redialled, call.was_held = True, True, "", False
    pause_recording(line, event.known)
    announce_again(line, event)


def note_gap(line: LineContext, event: Event) -> None:  # noqa: ARG001 - its time is in the recording
    """Sets `party_unknown` after a long gap in a call without a recording, except on an exempt line."""
    line.call.party_unknown |= not line.config.exempt


def announce_again(line: LineContext, event: Event) -> None:
    """Announces to a possibly new party, unless policy skips the second number."""
    call = line.call
    call.notice_tries, call.flashed_at, call.swapped_at = 0, None, None
    internal = internal_by(line.policy, call.redialled, None) is not None
    if reason_to_skip(line.policy, call.redialled, internal):
        line.enter("new_party", event.known)
    else:
        ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def flash_to_first_party(line: LineContext, event: Event) -> None:
    """Handles a flash while a second party is called: back to the first party.

    After a busy tone no other party is on the line; in any other case a second party may have joined.
    """
    call = line.call
    if call.redialled:
        call.also_dialled = [*call.also_dialled, call.redialled][-MOST_NUMBERS:]
        call.redialled = ""
    if call.tone:
        call.tone = ""
        call.withhold(event.known)
        line.enter("recording", event.known)
        call.flashed_at = event.known
    else:
        announce_again(line, event)


def withdraw_end(line: LineContext, event: Event) -> None:
    """Withdraws an end by tone: a voice on the line shows that nobody hung up."""
    line.call.tone = ""
    line.enter("recording", event.known)
    if event.name == "flash":
        flash_in_recording(line, event)


def tone_after_end(line: LineContext, event: Event) -> None:
    """Ends the call at dial tone that follows an end by tone."""
    if event.text == "dial":
        end_by_tone_still_held(line, event)


def _second_party(line: LineContext, event: Event) -> None:
    """Pauses the recording: a second party is being called."""
    call = line.call
    if call.redialled:
        call.also_dialled = [*call.also_dialled, call.redialled][-MOST_NUMBERS:]
    call.put_down_at, call.swapped_at = None, None
    call.redialled, call.tone = "", ""
    pause_recording(line, event.known)
    line.enter("new_party", event.known)


def wait_for_answer(line: LineContext, event: Event) -> None:
    wait_s = line.policy.answer_timeout_s
    if _is_test_call(line):
        wait_s = min(wait_s, TEST_CALL_S)
    line.memory.deadline = event.known + wait_s * RATE_HZ


def _is_test_call(line: LineContext) -> bool:
    """Whether this is a walk test's call so far: one digit, and neither ringback nor a second dial tone to wait for."""
    call = line.call
    if not line.memory.in_walk_test or call.direction != "out" or call.first_frame is not None:
        return False
    return len(call.dialled) == 1 and call.dialled not in line.policy.trunk_prefixes and not line.memory.evidence.rings


def pause_recording(line: LineContext, frame: int) -> None:
    """Withholds the audio from `frame` on, until the next notice."""
    call = line.call
    call.spoken = True  # the call with the party before was a real call
    if call.paused_at is None and call.first_frame is not None:
        since = call.withheld[-1][1] if call.withheld else call.first_frame
        call.paused_at = max(frame, since)  # a flash during a notice becomes certain only after the notice


def note_flash(line: LineContext, event: Event, *, spoken: bool = False) -> None:
    """Remembers a flash after which another party may come. `spoken`: the notice plays even without a voice."""
    call = line.call
    if call.answered_ns is not None:
        call.swapped_at, call.swap_spoken = event.at, spoken
        call.swap_due = event.known + line.profile.swap_ms * FRAMES_PER_MS


def flash_in_notice(line: LineContext, event: Event) -> None:
    """Handles a flash during the notice: a new party hears at most the rest of the notice."""
    note_flash(line, event, spoken=True)
    if line.call.waiting:
        line.call.waiting, line.call.swap_due = False, event.known


def wait_for_dial_tone(line: LineContext, event: Event) -> None:
    """Delays the announcement during dial tone: a person is about to dial."""
    if event.text == "dial":
        line.call.swap_due = event.known + SPOKEN_WITHIN_S * RATE_HZ


def dial_tone_gone(line: LineContext, event: Event) -> None:
    """Shortens the wait for digits at the end of dial tone."""
    if event.text == "dial":
        line.call.swap_due = event.known + line.profile.swap_ms * FRAMES_PER_MS


def voice_after_flash(line: LineContext, event: Event) -> None:
    """Handles a voice after a flash."""
    at = line.call.swapped_at
    if at is not None and event.at > at:
        line.call.swap_spoken = event.at - at <= SPOKEN_WITHIN_S * RATE_HZ


def swap_due_frame(line: LineContext) -> int | None:
    """The frame at which another party counts as certain: a voice and no digits after the flash."""
    return line.call.swap_due if line.call.swapped_at is not None and line.call.swap_spoken else None


def no_digits_after_flash(line: LineContext, event: Event) -> None:
    """Announces to the possible new party, as no digits came after the flash."""
    call = line.call
    assert call.swapped_at is not None
    if call.swapped_at == call.put_down_at:  # longer than any flash key: most exchanges ignore it
        call.party_unknown, call.swapped_at = True, None
        return
    held = event.known - call.swapped_at <= line.profile.redial_ms * FRAMES_PER_MS
    call.party_unknown = True
    pause_recording(line, call.swapped_at if held else event.known)
    announce_again(line, event)


def sound_in_recording(line: LineContext, event: Event) -> None:
    """Handles a change of sound: music means that the call is held, and a voice after it may be another party's."""
    call = line.call
    if event.text == "music" and event.known > call.notice_until:
        call.was_held, call.held_at, call.held_from = True, event.at, event.known
    elif call.was_held and event.text in SPEECH:
        call.was_held = False
        if call.held_again < MOST_HELD_AGAIN and _was_music(line, event.at):
            call.held_again += 1
            call.party_unknown = True
            pause_recording(line, max(event.at, call.held_from, event.known - WORD_IS_LATE_S * RATE_HZ))
            announce_again(line, event)


def _was_music(line: LineContext, until: int) -> bool:
    """Whether the sound was music: a faint voice through a codec may be classified so, but has no steady notes."""
    begin, numbers = line.call.held_at, line.profile.sound
    end = min(until, begin + numbers.hold_ms * FRAMES_PER_MS)
    kept = spectrum_steadiness(line.shared.audio.stretch(line.config.number, begin, end).samples)
    return kept is not None and kept >= numbers.hold_notes


def announced_until(line: LineContext, frame: int) -> int:
    """The frame up to which, but not beyond `frame`, the party on the line has certainly heard the notice."""
    call = line.call
    if call.swapped_at is not None and frame - call.swapped_at <= line.profile.redial_ms * FRAMES_PER_MS:
        frame = call.swapped_at
    if call.was_held:
        frame = min(frame, max(call.held_from, frame - WORD_IS_LATE_S * RATE_HZ))
    return frame
