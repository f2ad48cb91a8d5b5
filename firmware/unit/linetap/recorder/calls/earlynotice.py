# SPDX-License-Identifier: Apache-2.0
"""Notices without a listener are played again: those before the answer, and those before the beep of a mailbox.

**Before the answer.** The notice was played on a guess, or on evidence that the line contradicts later: ringback
continues, or the answer is detected only afterwards. `recording.recorded_before_answer` determines whether the audio in
between is withheld, or kept and flagged. Only audio that is not yet written can be withheld. A call answered on a guess
is therefore written `answer_doubt_s` after its notice; a contradiction after that time is flagged.

**Before a beep.** The network's announcement before a mailbox's beep is not recorded. A notice played over it has no
listener: its proof is `early`, and it plays again after the beep, once a call. A beep is a single tone, higher than any
call-progress tone.
"""

from __future__ import annotations

from linetap.recorder.calls import dialling, parties
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.doubtfulanswer import UNKNOWN
from linetap.recorder.calls.evidence.windows import first_window
from linetap.recorder.calls.gate import stop_notice
from linetap.recorder.calls.mailboxbeep import beeped_under_notice, is_beep, mark_notices_unheard, may_beep
from linetap.recorder.calls.noticeproof import not_after_answer, prove_notice
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ
from linetap_core.records import AnsweredBy

FLAG = "announced_before_answer"
# A far end can play ringback into an answered call: after this many withdrawals the answer stands.
MOST_TAKEN_BACK = 3
MOST_RUNG_AGAIN = 3  # a far end transfers a call once or twice


def tone_under_notice(line: LineContext, event: Event) -> None:
    """Handles ringback or call waiting while the notice is requested or plays."""
    line.call.waiting |= event.text == "call_waiting"
    if event.text == "ringback" and _may_be_wrong(line, event):
        withdraw_answer(line, event)
        dialling.follow_progress_tone(line, event)


def tone_in_recording(line: LineContext, event: Event) -> None:
    """Handles a tone in a recording: ringback withdraws the answer or means a transfer; others go to parties.py."""
    if event.text == "ringback" and _may_be_wrong(line, event):
        withdraw_answer(line, event)
        dialling.follow_progress_tone(line, event)
    elif event.text != "ringback":
        parties.tone_in_recording(line, event)
    elif not line.call.guessed and line.call.rung_again < MOST_RUNG_AGAIN:
        line.call.rung_again += 1
        parties.tone_in_recording(line, event)
    # Else it is ignored: a far end that plays ringback could keep most of the call unrecorded.


def polarity_after_guess(line: LineContext, event: Event) -> None:
    """Accepts a reversal as the proof of an answer that was guessed before."""
    if line.call.guessed:
        answer_after_guess(line, event, "polarity")


def answer_after_guess(line: LineContext, event: Event, by: AnsweredBy) -> None:
    """Plays the notice again: certain evidence of an answer came in a call that was answered on a guess."""
    withdraw_answer(line, event)
    dialling.accept_answer(line, event, by)


def withdraw_answer(line: LineContext, event: Event) -> None:
    """Withdraws the answer: the line waits for an answer as before."""
    call = line.call
    stop_notice(line)
    prove_notice(line, event.known)
    call.notice_from = None
    second = call.guessed and any(notice.began_after_answer is True for notice in call.notices)
    if not second:  # else the guess concerns a second party: the first has answered and heard its notice
        for notice in call.notices:
            not_after_answer(notice)
        call.answered_ns, call.answered_by, call.answer = None, None, None
    call.guessed, call.heard_as = False, None
    call.why = "" if call.why == UNKNOWN else call.why
    call.taken_back += 1
    call.notice_tries, call.tone = 0, ""
    if call.held_until is not None:  # no audio is written yet: the recording never began
        call.first_frame, call.held_until, call.disposition = None, None, "unanswered"
    if call.first_frame is None:
        line.enter("off_hook", event.known)
    else:
        if not second:
            call.why = call.why or FLAG
            call.redialled = call.dialled
        parties.pause_recording(line, event.known)
        line.enter("new_party", event.known)
    line.memory.next_window = first_window("new_party", event.known)  # so that the burst of this ringback counts


def _may_be_wrong(line: LineContext, event: Event) -> bool:
    """Whether the answer may be wrong: it is a guess, or a voice in a pause of ringback that may continue."""
    call = line.call
    if call.direction != "out" or call.taken_back >= MOST_TAKEN_BACK or call.answered_ns is None:
        return False
    if call.guessed:
        return True
    since = event.at - line.anchor.frame_at(call.answered_ns)
    return call.answered_by in ("tone", "sound") and since <= line.profile.cadence.ringback_goes_on_s * RATE_HZ


def sound_under_notice(line: LineContext, event: Event) -> None:
    """Keeps the start of a tone that may begin under the notice and end after it."""
    line.call.beep_from = event.at if event.text == "tone" else None


def sound_in_recording(line: LineContext, event: Event) -> None:
    """Handles a sound in a recording; a tone may be a beep, which is certain once it has ended."""
    call = line.call
    parties.sound_in_recording(line, event)
    began, call.beep_from = call.beep_from, event.at if event.text == "tone" else None
    if began is not None and may_beep(line, began) and is_beep(line, began, event.known):
        _announce_after_ringback(line, event)


def prove_after_notice(line: LineContext, event: Event) -> None:
    """Proves the notice when its last echo has returned, and announces again after a beep under it."""
    beneath = beeped_under_notice(line, event.at)
    prove_notice(line, event.at)
    if beneath:
        _announce_after_ringback(line, event)


def _announce_after_ringback(line: LineContext, event: Event) -> None:
    mark_notices_unheard(line)
    parties.pause_recording(line, event.known)
    parties.announce_again(line, event)
