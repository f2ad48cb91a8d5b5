# SPDX-License-Identifier: Apache-2.0
"""A call that is not recorded, and what makes it one that is: another party on the line, or the notice code.

A colleague calls, is skipped as internal, and puts a citizen through: loop and caller's number stay as they are.
What says so is a flash on this line, a line of this unit that hands its own call on, music of a PBX that holds the
call, or the sound of the channel; else only the staff know, and they have the notice code. Whoever is on the line then
hears the notice, and is recorded. An emergency call and an exempt line stay as they are.
"""

from __future__ import annotations

from linetap.recorder.calls import redial
from linetap.recorder.calls.begin import replace_passing_party
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.gate import ask_for_notice
from linetap.recorder.calls.marks import add_key
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ
from linetap_core.records import PartyBy

SPEECH = ("speech", "announcement")


def digit_while_passing(line: LineContext, event: Event) -> None:
    """Of a code, or of another number."""
    internal = line.call.why == "internal"
    by = add_key(line, event)
    if by == "near" or (by == "uncertain" and internal):  # nobody is harmed by hearing a notice
        announce_party(line, event, "key")
    else:
        redial.digit_while_passing(line, event)


def flash_while_passing(line: LineContext, event: Event) -> None:
    """Digits may follow. If they do not, somebody else is on the line, or the same again."""
    call_id = line.call.call_id
    replace_passing_party(line, event)
    if line.memory.call is not None and line.call.call_id == call_id:
        _wait_for_digits(line, event)


def tone_while_passing(line: LineContext, event: Event) -> None:
    if event.text == "dial" and line.call.flashed_at is not None:
        line.memory.deadline = None  # somebody is about to dial, and is not spoken to
    redial.tone_while_passing(line, event)


def tone_gone_while_passing(line: LineContext, event: Event) -> None:
    if event.text == "dial" and line.call.flashed_at is not None:
        _wait_for_digits(line, event)


def nobody_dialled(line: LineContext, event: Event) -> None:
    line.call.flashed_at = None
    _party(line, event, "flash")


def channel_while_passing(line: LineContext, event: Event) -> None:
    """The far end sounds otherwise. That may be another party or another room: the record says that it is not known."""
    if _is_settled(line, event):
        line.call.party_unknown = True
        _party(line, event, "channel")


def sound_while_passing(line: LineContext, event: Event) -> None:
    """Music or a tone is that of a PBX that holds a colleague's call; who speaks behind it may be somebody else."""
    call = line.call
    if not _is_settled(line, event):
        return
    if event.text in ("music", "tone"):  # a PBX holds a call by either
        call.was_held = True
    elif call.was_held and event.text in SPEECH and call.why == "internal":
        call.was_held, call.party_unknown = False, True
        _party(line, event, "hold")


def channel_in_recording(line: LineContext, event: Event) -> None:
    """Of an internal call that policy has recorded: who was announced to may have gone."""
    if line.call.internal_by is not None and event.at > line.call.notice_until and _is_settled(line, event):
        line.call.party_unknown = True


def party_handed_on(line: LineContext, event: Event) -> None:
    """A line of this unit called here in the middle of its own call, and has left: its caller is here now."""
    _party(line, event, "neighbour")


def announce_party(line: LineContext, event: Event, by: PartyBy) -> None:
    call = line.call
    if line.config.exempt or call.why == "emergency" or line.around.vault.refused() is not None:
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
    """What an answer itself changes is over."""
    call = line.call
    if call.answered_ns is None:
        return False
    return event.at - line.anchor.frame_at(call.answered_ns) > line.profile.party_ms * RATE_HZ // 1000
