# SPDX-License-Identifier: Apache-2.0
"""An unrecorded call that becomes a recorded one: another party has joined, or staff dial the notice code.

A colleague calls, the call is skipped as internal, and the colleague transfers a citizen: the loop and the caller's
number do not change. Evidence of the transfer is a flash on this line, a line of this unit that transfers its own call,
music from a PBX that holds the call, or a change of channel. Without evidence, staff dial the notice code. The party on
the line then hears the notice and is recorded. Emergency calls and exempt lines stay unrecorded.
"""

from __future__ import annotations

from linetap.recorder.calls import redial
from linetap.recorder.calls.begin import replace_passing_party
from linetap.recorder.calls.codes import add_key
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.gate import ask_for_notice
from linetap.recorder.signals.events import SPEECH, Event
from linetap.ring import RATE_HZ
from linetap_core.records import PartyBy


def digit_while_passing(line: LineContext, event: Event) -> None:
    """Handles a digit: of the notice code, or of another number."""
    internal = line.call.why == "internal"
    by = add_key(line, event)
    if by == "near" or (by == "uncertain" and internal):  # a superfluous notice does no harm
        announce_party(line, event, "key")
    else:
        redial.digit_while_passing(line, event)


def flash_while_passing(line: LineContext, event: Event) -> None:
    """Handles a flash: digits may follow; without digits, the same or another party is on the line."""
    call_id = line.call.call_id
    replace_passing_party(line, event)
    if line.memory.call is not None and line.call.call_id == call_id:
        _wait_for_digits(line, event)


def tone_while_passing(line: LineContext, event: Event) -> None:
    """Handles a tone: dial tone suspends the wait for digits."""
    if event.text == "dial" and line.call.flashed_at is not None:
        line.memory.deadline = None  # a person is about to dial: no notice meanwhile
    redial.tone_while_passing(line, event)


def tone_gone_while_passing(line: LineContext, event: Event) -> None:
    """Restarts the wait for digits at the end of dial tone."""
    if event.text == "dial" and line.call.flashed_at is not None:
        _wait_for_digits(line, event)


def no_digits_after_flash(line: LineContext, event: Event) -> None:
    """Announces to a possible other party, as no digits came after the flash."""
    line.call.flashed_at = None
    _party(line, event, "flash")


def channel_while_passing(line: LineContext, event: Event) -> None:
    """Sets `party_unknown` at a change of the far channel: another party or another room."""
    if _is_settled(line, event):
        line.call.party_unknown = True
        _party(line, event, "channel")


def sound_while_passing(line: LineContext, event: Event) -> None:
    """Handles a sound: at music or a tone, a PBX holds a colleague's call; a later voice may be another party's."""
    call = line.call
    if not _is_settled(line, event):
        return
    if event.text in ("music", "tone"):  # PBXs use either while they hold a call
        call.was_held = True
    elif call.was_held and event.text in SPEECH and call.why == "internal":
        call.was_held, call.party_unknown = False, True
        _party(line, event, "hold")


def channel_in_recording(line: LineContext, event: Event) -> None:
    """Sets `party_unknown` at a change of channel in a recorded internal call: the announced party may have left."""
    if line.call.internal_by is not None and event.at > line.call.notice_until and _is_settled(line, event):
        line.call.party_unknown = True


def party_handed_on(line: LineContext, event: Event) -> None:
    """Announces to the caller of another line of this unit, which called during its own call and has left."""
    _party(line, event, "neighbour")


def announce_party(line: LineContext, event: Event, by: PartyBy) -> None:
    """Turns the call into a recorded one: requests the notice. `by`: the evidence of another party."""
    call = line.call
    if line.config.exempt or call.why == "emergency" or line.shared.vault.refused() is not None:
        return
    call.party_by, call.spoken = by, True
    call.why, call.disposition, call.notice_tries, call.flashed_at = "", "unanswered", 0, None
    ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def _party(line: LineContext, event: Event, by: PartyBy) -> None:
    if line.call.why == "internal":
        announce_party(line, event, by)


def _wait_for_digits(line: LineContext, event: Event) -> None:
    line.memory.deadline = event.known + line.profile.party_ms * FRAMES_PER_MS


def _is_settled(line: LineContext, event: Event) -> bool:
    """Whether the changes that the answer itself causes are over."""
    call = line.call
    if call.answered_ns is None:
        return False
    return event.at - line.anchor.frame_at(call.answered_ns) > line.profile.party_ms * RATE_HZ // 1000
