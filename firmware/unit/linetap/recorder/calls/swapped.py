# SPDX-License-Identifier: Apache-2.0
"""Another party in a recorded call, and nobody has dialled: a flash takes a call that waits, or the far end passes the
call on.

Behind a flash digits may follow; if somebody speaks and none have come, it may be anybody. One beep of call waiting is
easily missed beneath a voice, so it is not asked for. At the far end, music says that the call is held there, and
whoever speaks behind it may be somebody else. Either hears the notice again, and `party_unknown` stands in the record
where nothing but that says so. Nothing is written from the flash, or from the first word behind the music, until then.
"""

from __future__ import annotations

from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.parties import announce_again, pause_recording
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.sound.classes import kept_notes
from linetap.ring import RATE_HZ

SPEECH = ("speech", "announcement")
SPOKEN_WITHIN_S = 60  # of a flash: who speaks later is whoever was on the line
MOST_HELD_AGAIN = 3  # a singer is taken for somebody who speaks: no more notices than that into one song
WORD_IS_LATE_S = 2  # at most from a word to the certainty that it is one


def note_flash(line: LineContext, event: Event, *, spoken: bool = False) -> None:
    """`spoken`: whoever comes is announced to, also in silence."""
    call = line.call
    if call.answered_ns is not None:
        call.swapped_at, call.swap_spoken = event.at, spoken
        call.swap_due = event.known + line.profile.swap_ms * FRAMES_PER_MS


def flash_in_notice(line: LineContext, event: Event) -> None:
    """Whoever comes now hears the notice's rest at most."""
    note_flash(line, event, spoken=True)
    if line.call.waiting:
        line.call.waiting, line.call.swap_due = False, event.known


def wait_for_dial_tone(line: LineContext, event: Event) -> None:
    """Somebody is about to dial, and is not spoken to."""
    if event.text == "dial":
        line.call.swap_due = event.known + SPOKEN_WITHIN_S * RATE_HZ


def dial_tone_gone(line: LineContext, event: Event) -> None:
    if event.text == "dial":
        line.call.swap_due = event.known + line.profile.swap_ms * FRAMES_PER_MS


def voice_after_flash(line: LineContext, event: Event) -> None:
    at = line.call.swapped_at
    if at is not None and event.at > at:
        line.call.swap_spoken = event.at - at <= SPOKEN_WITHIN_S * RATE_HZ


def swap_due_frame(line: LineContext) -> int | None:
    """The frame at which nobody has dialled, and somebody has spoken."""
    return line.call.swap_due if line.call.swapped_at is not None and line.call.swap_spoken else None


def nobody_dialled(line: LineContext, event: Event) -> None:
    call = line.call
    assert call.swapped_at is not None
    if call.swapped_at == call.put_down_at:  # longer than any flash key: most exchanges do nothing then
        call.party_unknown, call.swapped_at = True, None
        return
    held = event.known - call.swapped_at <= line.profile.redial_ms * FRAMES_PER_MS
    call.party_unknown = True
    pause_recording(line, call.swapped_at if held else event.known)
    announce_again(line, event)


def sound_in_recording(line: LineContext, event: Event) -> None:
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
    """A faint voice behind a codec is called music now and then; it does not keep a note."""
    begin, numbers = line.call.held_at, line.profile.sound
    end = min(until, begin + numbers.hold_ms * FRAMES_PER_MS)
    kept = kept_notes(line.around.audio.stretch(line.config.number, begin, end).samples)
    return kept is not None and kept >= numbers.hold_notes


def certain_until(line: LineContext, frame: int) -> int:
    """Up to where, but not beyond `frame`, whoever is on the line has been announced to."""
    call = line.call
    if call.swapped_at is not None and frame - call.swapped_at <= line.profile.redial_ms * FRAMES_PER_MS:
        frame = call.swapped_at
    if call.was_held:
        frame = min(frame, max(call.held_from, frame - WORD_IS_LATE_S * RATE_HZ))
    return frame
