# SPDX-License-Identifier: Apache-2.0
"""The release of the line after the notice: the card's contact opens the loop, and the line's reaction is recorded.

    end_opens    the contact was commanded to open, and the loop is still closed
    end_open     the loop is open; if it closes again, the handset is still lifted
    end_closed   the loop is closed again: dial tone or busy tone proves that the line is free, a voice that it is not

If the line does not become free, the recording continues, without a second attempt. A restarted recorder first follows
the line's past; it does not open a contact that is open by then.
"""

from __future__ import annotations

import msgspec

from linetap.recorder.calls import begin, parties, redial
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.ending import end_call, end_recording
from linetap.recorder.calls.endrules import refuse
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ
from linetap_core.errors import DeviceFault
from linetap_core.records import LEAST_OPEN_MS, MOST_OPEN_MS, ReleaseSeenBy

SHOWS_WITHIN_MS = 1500  # after this time an open loop is certainly no flash
CLOSES_WITHIN_MS = 1000  # time from the end of the opening to a closed loop, if the handset is still lifted
BEHIND_MS = 300  # a recorder that lags more than this does not act
LATEST_S = 10  # from the proof of the notice: later, the call has continued
LISTENS_S = 8  # for dial tone or busy tone
AGAIN_MS = 50
SEEN_BY: dict[str, ReleaseSeenBy] = {"dial": "dial_tone", "busy": "busy_tone", "congestion": "busy_tone"}
SEEN_BY["unobtainable"] = "busy_tone"


def on_deadline_to_open(line: LineContext, event: Event) -> None:
    """Opens the contact once the recorder has caught up with the line; later, reports that the loop did not open."""
    call, followed = line.call, line.batch.frame + line.batch.frames
    assert call.release_due is not None
    if call.release_asked:
        _not_released(line, event, "not_released")
    elif followed - call.release_due > LATEST_S * RATE_HZ:
        _not_released(line, event, "release_late")
    elif line.batch.gap is not None or _is_behind(line, followed) or _is_open(line, followed):
        line.memory.deadline = event.at + AGAIN_MS * FRAMES_PER_MS
    else:
        try:
            line.shared.capture.release(line.config.number, _open_ms(line))
        except DeviceFault as fault:
            _not_released(line, event, fault.code)
            return
        call.release_asked = True
        line.memory.deadline = followed + (_open_ms(line) + SHOWS_WITHIN_MS) * FRAMES_PER_MS


def _is_behind(line: LineContext, followed: int) -> bool:
    return line.shared.capture.frame_now(line.config.number) - followed > BEHIND_MS * FRAMES_PER_MS


def _is_open(line: LineContext, followed: int) -> bool:
    """Whether the loop is open for any reason: on-hook or flash follows."""
    hook = line.memory.hook
    return hook.off_hook_since is None or hook.certain_until(followed) < followed


def loop_opened(line: LineContext, event: Event) -> None:
    """Handles a loop that is open for longer than any flash: by the contact, or because staff had just hung up."""
    call = line.call
    assert call.release_due is not None
    if event.at < call.release_due:
        end_recording(line, event)
        return
    assert call.end is not None
    call.opened_at = event.at
    call.end = msgspec.structs.replace(call.end, released_at=line.rfc3339(event.at))
    line.enter("end_open", event.at, event.at + (_open_ms(line) + CLOSES_WITHIN_MS) * FRAMES_PER_MS)


def opened_too_short(line: LineContext, event: Event) -> None:
    """Continues the recording after an opening too short: to the exchange it was a flash, which may reach a party."""
    _not_released(line, event, "not_released")
    redial.flash_in_recording(line, event)


def gap_before_opening(line: LineContext, event: Event) -> None:
    """Continues the recording after a long gap: another party may be on the line, and their call must not be ended."""
    _not_released(line, event, "another_party")
    parties.gap_in_recording(line, event)


def gap_after_opening(line: LineContext, event: Event) -> None:
    """Decides after a long gap by the audio before it."""
    no_tone(line, event)
    if line.memory.state == "recording":
        parties.gap_in_recording(line, event)


def stays_open(line: LineContext, event: Event) -> None:
    """Ends the call: the contact has closed and the loop is still open, so the handset is on its cradle."""
    _finish(line, event, "idle_voltage")


def rings_again(line: LineContext, event: Event) -> None:
    """Ends the call and begins the next one, which rings on the free line."""
    _finish(line, event, "idle_voltage")
    begin.begin_incoming(line, event)


def closed_again(line: LineContext, event: Event) -> None:
    """Waits for a sound that shows whether the line is free: the handset is still lifted."""
    line.enter("end_closed", event.at, event.known + LISTENS_S * RATE_HZ)


def tone_shows_release(line: LineContext, event: Event) -> None:
    """Ends the call at dial tone, busy tone or a howler: the exchange has released it."""
    if (seen_by := SEEN_BY.get(event.text)) is not None:
        _finish_lifted(line, event, seen_by)


def no_tone(line: LineContext, event: Event) -> None:
    """Decides without a tone. With a voice, the exchange has not released the call, and the recording continues over
    the opening. Without a voice, the opening itself is the evidence; a later voice begins a record that continues this
    one.
    """
    if line.call.voice_after:
        line.call.opened_at = None
        _not_released(line, event, "not_released")
    else:
        _finish_lifted(line, event, "idle_voltage")


def digit_after_release(line: LineContext, event: Event) -> None:
    """Ends the call: staff dial on the line, which is free again."""
    _finish_lifted(line, event, "idle_voltage")
    line.memory.continues = None
    begin.dial_while_held(line, event)


def flash_after_release(line: LineContext, event: Event) -> None:
    """Ends the call and begins another one by a flash on the free line."""
    _finish_lifted(line, event, "idle_voltage")
    begin.begin_outgoing(line, event)


def put_down_after_release(line: LineContext, event: Event) -> None:
    """Ends the call: the handset was put down."""
    _finish(line, event, "idle_voltage")


def voice_after_release(line: LineContext, event: Event) -> None:  # noqa: ARG001 - the time does not matter
    """Remembers a voice, which is the caller's unless dial tone or busy tone follows."""
    line.call.voice_after = True


def _open_ms(line: LineContext) -> int:
    learned = line.shared.learned.get(line.config.number)
    measured = learned.release_ms if learned is not None and learned.release_ms else 0
    return min(MOST_OPEN_MS, max(LEAST_OPEN_MS, round(measured)))


def _not_released(line: LineContext, event: Event, why: str) -> None:
    call = line.call
    assert call.end is not None
    line.enter("recording", event.known)
    refuse(line, event, call.end.situation, why, by_time=False)


def _finish(line: LineContext, event: Event, seen_by: ReleaseSeenBy) -> None:
    """Ends the call where its loop opened."""
    call = line.call
    assert call.end is not None
    assert call.opened_at is not None
    call.end = msgspec.structs.replace(call.end, seen_by=seen_by)
    ended = Event(event.known, "on_hook", call.opened_at)
    end_call(line, ended, "recorded", call.why, "released", call.opened_at)


def _finish_lifted(line: LineContext, event: Event, seen_by: ReleaseSeenBy) -> None:
    """Ends the call where its loop opened; the handset is off its cradle, as after an end by tone."""
    call_id = line.call.call_id
    _finish(line, event, seen_by)
    line.memory.continues = call_id
    line.enter("held", event.known)
