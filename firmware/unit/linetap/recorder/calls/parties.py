# SPDX-License-Identifier: Apache-2.0
"""Changes during a recording: the far end hangs up, or another party comes on the line.

A new party has not heard the notice: no audio is written from that moment (`paused_at`) until the notice has played
again. The pause becomes a gap `not_announced`.
"""

from __future__ import annotations

from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.ending import end_by_tone_still_held
from linetap.recorder.calls.gate import ask_for_notice
from linetap.recorder.calls.marks import add_key, begins_a_code
from linetap.recorder.calls.policy import internal_by, reason_to_skip
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ

FAR_END_GONE = ("busy", "congestion")
MOST_NUMBERS = 16  # of further parties in a record
DIALS_WITHIN_S = 60  # after a flash; later digits are meant for the party on the line


def flash_in_recording(line: LineContext, event: Event) -> None:
    """A flash: with call waiting the other party is taken at once; else digits may follow."""
    call = line.call
    if call.waiting:
        call.waiting = False
        pause_recording(line, event.at)
        announce_again(line, event)
    else:
        call.flashed_at = event.known


def tone_in_recording(line: LineContext, event: Event) -> None:
    """A tone: the far end has hung up, another call waits, or a second party is called."""
    call = line.call
    if event.text in FAR_END_GONE:
        call.tone, call.tone_at, call.tone_known = event.text, event.at, event.known
        line.go("tone_end", event.known, event.known + line.policy.tone_end_s * RATE_HZ)
    elif event.text == "dial" and call.flashed_at is None:  # after a flash it only invites digits
        call.dial_at = event.at
    elif event.text == "call_waiting":
        call.waiting = True
    elif event.text == "ringback":  # of a second party, or of a transfer by the far end
        _second_party(line, event)
        _wait_for_answer(line, event)


def tone_gone_in_recording(line: LineContext, event: Event) -> None:
    """Dial tone has ended."""
    if event.text == "dial":
        line.call.dial_at = None


def dial_tone_lasts(line: LineContext, event: Event) -> None:
    """Dial tone without a flash: the exchange offers a new call, so the far end has hung up."""
    call = line.call
    assert call.dial_at is not None
    call.tone, call.tone_at, call.tone_known, call.dial_at = "dial", call.dial_at, event.known, None
    line.go("tone_end", event.known, event.known + line.policy.tone_end_s * RATE_HZ)


def digit_in_recording(line: LineContext, event: Event) -> None:
    """A digit during the call: of a code, or, after a flash, of a second party's number."""
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
        _wait_for_answer(line, event)


def announce_by_code(line: LineContext, event: Event) -> None:
    """Staff have dialled the notice code: the notice plays, and nothing is written until then."""
    call = line.call
    call.notice_tries, call.flashed_at, call.swapped_at = 0, None, None
    pause_recording(line, event.at)
    call.put_down_at = None
    ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def announce_again(line: LineContext, event: Event) -> None:
    """Announces to a possibly new party, unless policy skips the second number."""
    call = line.call
    call.notice_tries, call.flashed_at, call.swapped_at = 0, None, None
    internal = internal_by(line.policy, call.redialled, None) is not None
    if reason_to_skip(line.policy, call.redialled, internal):
        line.go("new_party", event.known)
    else:
        ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def flash_to_first_party(line: LineContext, event: Event) -> None:
    """A flash while a second party is called: back to the first one.

    After a busy tone nobody new is on the line; in any other case a second party may have joined.
    """
    call = line.call
    if call.redialled:
        call.also_dialled = [*call.also_dialled, call.redialled][-MOST_NUMBERS:]
        call.redialled = ""
    if call.tone:
        call.tone = ""
        call.withhold(event.known)
        line.go("recording", event.known)
        call.flashed_at = event.known
    else:
        announce_again(line, event)


def take_back_end(line: LineContext, event: Event) -> None:
    """Takes an end by tone back: the line was not hung up, and somebody speaks."""
    line.call.tone = ""
    line.go("recording", event.known)
    if event.name == "flash":
        flash_in_recording(line, event)


def tone_after_end(line: LineContext, event: Event) -> None:
    """Dial tone after an end by tone: the call before it is over."""
    if event.text == "dial":
        end_by_tone_still_held(line, event)


def _second_party(line: LineContext, event: Event) -> None:
    """A second party is being called: the recording pauses."""
    call = line.call
    if call.redialled:
        call.also_dialled = [*call.also_dialled, call.redialled][-MOST_NUMBERS:]
    call.put_down_at, call.swapped_at = None, None
    call.redialled, call.tone = "", ""
    pause_recording(line, event.known)
    line.go("new_party", event.known)


def _wait_for_answer(line: LineContext, event: Event) -> None:
    line.memory.deadline = event.known + line.policy.answer_timeout_s * RATE_HZ


def pause_recording(line: LineContext, frame: int) -> None:
    """Withholds the audio from `frame` on, until the next notice."""
    call = line.call
    call.spoken = True  # the call before this party was a real one
    if call.paused_at is None and call.first_frame is not None:
        since = call.withheld[-1][1] if call.withheld else call.first_frame
        call.paused_at = max(frame, since)  # a flash during a notice becomes certain only after it
