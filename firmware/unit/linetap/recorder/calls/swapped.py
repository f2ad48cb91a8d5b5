# SPDX-License-Identifier: Apache-2.0
"""Another party in a recorded call without dialling: a flash takes a waiting call, or the far end transfers the call.

Digits may follow a flash. If somebody speaks and none have come, it may be another party. The call-waiting tone is not
required: one beep is easily missed under a voice. Music means that the far end holds the call, and the voice after it
may be another party's. In both cases the notice plays again, and the record says `party_unknown` where there is no
other evidence. No audio is written from the flash, or from the first word after the music, until then.
"""

from __future__ import annotations

from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.parties import announce_again, pause_recording
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.sound.classes import kept_notes
from linetap.ring import RATE_HZ

SPEECH = ("speech", "announcement")
SPOKEN_WITHIN_S = 60  # after a flash; a later voice is the party that was on the line
MOST_HELD_AGAIN = 3  # a singer is taken for a speaker: the most notices into one song
WORD_IS_LATE_S = 2  # longest time from a word to its detection


def note_flash(line: LineContext, event: Event, *, spoken: bool = False) -> None:
    """Remembers a flash after which another party may come. `spoken`: the notice plays even without a voice."""
    call = line.call
    if call.answered_ns is not None:
        call.swapped_at, call.swap_spoken = event.at, spoken
        call.swap_due = event.known + line.profile.swap_ms * FRAMES_PER_MS


def flash_in_notice(line: LineContext, event: Event) -> None:
    """A flash under the notice: a new party hears its rest at most."""
    note_flash(line, event, spoken=True)
    if line.call.waiting:
        line.call.waiting, line.call.swap_due = False, event.known


def wait_for_dial_tone(line: LineContext, event: Event) -> None:
    """During dial tone somebody is about to dial: nothing is announced meanwhile."""
    if event.text == "dial":
        line.call.swap_due = event.known + SPOKEN_WITHIN_S * RATE_HZ


def dial_tone_gone(line: LineContext, event: Event) -> None:
    """Dial tone has ended: digits must come soon."""
    if event.text == "dial":
        line.call.swap_due = event.known + line.profile.swap_ms * FRAMES_PER_MS


def voice_after_flash(line: LineContext, event: Event) -> None:
    """A voice after a flash."""
    at = line.call.swapped_at
    if at is not None and event.at > at:
        line.call.swap_spoken = event.at - at <= SPOKEN_WITHIN_S * RATE_HZ


def swap_due_frame(line: LineContext) -> int | None:
    """The frame at which another party counts as certain: a voice and no digits after the flash."""
    return line.call.swap_due if line.call.swapped_at is not None and line.call.swap_spoken else None


def nobody_dialled(line: LineContext, event: Event) -> None:
    """No digits came after the flash: announces to the possible new party."""
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
    """Music means that the call is held; a voice after it may be another party's."""
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
    """Whether it was music: a faint voice through a codec is sometimes classified as music, but keeps no notes."""
    begin, numbers = line.call.held_at, line.profile.sound
    end = min(until, begin + numbers.hold_ms * FRAMES_PER_MS)
    kept = kept_notes(line.around.audio.stretch(line.config.number, begin, end).samples)
    return kept is not None and kept >= numbers.hold_notes


def certain_until(line: LineContext, frame: int) -> int:
    """The frame up to which, but not beyond `frame`, the party on the line has certainly heard the notice."""
    call = line.call
    if call.swapped_at is not None and frame - call.swapped_at <= line.profile.redial_ms * FRAMES_PER_MS:
        frame = call.swapped_at
    if call.was_held:
        frame = min(frame, max(call.held_from, frame - WORD_IS_LATE_S * RATE_HZ))
    return frame
