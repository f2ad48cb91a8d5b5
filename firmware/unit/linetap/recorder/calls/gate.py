# SPDX-License-Identifier: Apache-2.0
"""The notice and the gate: no party's audio reaches the vault before the notice was played to that party.

`pass_gate` and `ended_during_notice` open the gate, and so does `give_up_notice` if policy requires a recording.
"""

from __future__ import annotations

from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.ending import end_recording, end_without_recording, leave_unrecorded
from linetap.recorder.calls.noticeproof import await_proof, prove_notice
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.notice.played import PlayedNotice
from linetap.ring import RATE_HZ
from linetap_core.errors import DeviceFault
from linetap_core.records import NoticeRecord

SURELY_CLOSED_MS = 1500  # an on-hook is certain after this time: flash time and debounce
NOTICE_TRIES = 2
NOTICE_LATE_MS = 1000  # a notice that is later than this does not begin any more
MOST_HELD = 3  # a calling fax is certain the first time; later bursts are whistling
FAX_SURE_MS = 800  # time after which a possible fax tone is confirmed or over


def ask_for_notice(line: LineContext, at_frame: int, event: Event) -> None:
    """Requests the line's notice at `at_frame` from capture, and waits for its beginning.

    After a gap in which the handset may have been put down, the notice waits until that is certain: the line may be
    ringing.
    """
    notice = line.shared.notices[line.notice]
    followed = line.batch.frame + line.batch.frames
    if line.batch.gap is not None or (_after_gap(line) and line.memory.hook.certain_until(followed) < followed):
        at_frame = max(at_frame, followed + SURELY_CLOSED_MS * FRAMES_PER_MS)
    prove_notice(line, event.known)  # an earlier notice: from now on its echo mixes with the new notice's
    line.call.notice_tries += 1
    try:
        line.shared.capture.play(line.config.number, notice.id, at_frame)
    except DeviceFault as fault:
        give_up_notice(line, event, fault.code)
        return
    line.memory.playing = PlayedNotice(notice.tag, notice.frames, at_frame)
    # A late request by a restarted or slow recorder is no failure of the notice.
    latest = max(at_frame, line.shared.capture.frame_now(line.config.number)) + NOTICE_LATE_MS * FRAMES_PER_MS
    line.enter("notice_wait", event.known, latest)


def _after_gap(line: LineContext) -> bool:
    """Whether a gap has ended within the time of an on-hook."""
    return line.batch.frame - line.memory.seen_from < SURELY_CLOSED_MS * FRAMES_PER_MS


def notice_started(line: LineContext, event: Event) -> None:
    """Handles the beginning of the notice on the line."""
    assert line.memory.playing is not None
    call = line.call
    notice = NoticeRecord(id=line.notice, started_at=line.rfc3339(event.at), began_after_answer=not call.guessed)
    call.notices = [*call.notices, notice]
    line.report("notice", event.at)
    latest = event.at + line.memory.playing.frames + NOTICE_LATE_MS * FRAMES_PER_MS
    line.enter("notice", event.at, latest)


def notice_failed(line: LineContext, event: Event) -> None:
    """Plays a notice that did not begin or was disturbed once more from its start; then policy decides."""
    if line.call.notice_tries < NOTICE_TRIES:
        stop_notice(line)
        ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)
    else:
        give_up_notice(line, event, "notice_failed")


def hold_notice(line: LineContext, event: Event) -> None:
    """Delays the notice while a tone may be a fax's: no voice may disturb a fax."""
    if line.call.notice_held >= MOST_HELD:
        return
    line.call.notice_held += 1
    stop_notice(line)
    line.enter("fax_wait", event.known, event.known + FAX_SURE_MS * FRAMES_PER_MS)


def ask_again_without_fax(line: LineContext, event: Event) -> None:
    """Requests the held notice again, without counting an attempt: the tone was not a fax's."""
    line.call.notice_tries = 0
    ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def give_up_notice(line: LineContext, event: Event, why: str) -> None:
    """Gives up the notice: policy decides between a flagged recording and none."""
    stop_notice(line)
    call = line.call
    if line.policy.on_notice_failure == "record_and_flag":
        call.why = why
        _open(line, event.known, event)
    elif call.first_frame is not None:
        call.why = why
        line.enter("new_party", event.at)  # the audio is withheld until the party changes again
    else:
        leave_unrecorded(line, event, "discarded", why)


def pass_gate(line: LineContext, event: Event) -> None:
    """Begins the recording: the notice was played to its end."""
    _end_notice(line, event.at, whole=True)
    _open(line, _record_from(line, event.at), event)
    line.memory.deadline = line.call.notice_until + SURELY_CLOSED_MS * FRAMES_PER_MS


def stop_notice(line: LineContext) -> None:
    """Stops the notice that was requested or plays."""
    if line.memory.playing is not None:
        line.memory.playing = None
        try:
            line.shared.capture.stop(line.config.number)
        except DeviceFault:
            return  # without capture, the relay is open


def ended_before_notice(line: LineContext, event: Event) -> None:
    """Ends a call before its notice has begun."""
    stop_notice(line)
    if line.call.first_frame is not None:
        end_recording(line, event)
    else:
        end_without_recording(line, event, "discarded", "ended_before_notice")


def ended_during_notice(line: LineContext, event: Event) -> None:
    """Ends a call during its notice: a notice that played undisturbed opens the gate.

    If the loop had opened before the notice began, which is certain only later, the call had no notice.
    """
    playing = line.memory.playing
    assert playing is not None
    assert playing.started is not None
    if event.at <= playing.started:
        ended_before_notice(line, event)
        return
    _end_notice(line, event.at, whole=False)
    undisturbed = not playing.disturbed
    first = _record_from(line, event.at)
    stop_notice(line)
    if undisturbed and first < event.at:
        _open(line, first, event)
        end_recording(line, event)
    elif line.call.first_frame is not None:
        end_recording(line, event)
    else:
        end_without_recording(line, event, "discarded", "ended_during_notice")


def _open(line: LineContext, first_frame: int, event: Event) -> None:
    """Begins the recording, or continues it once a further party has heard the notice."""
    call = line.call
    if call.first_frame is None:
        call.first_frame, call.disposition = first_frame, "recorded"
        if call.guessed and line.policy.recorded_before_answer == "withhold":
            call.held_until = event.at + line.policy.answer_doubt_s * RATE_HZ
        else:
            line.shared.vault.open(call.call_id, line.config.number, first_frame)
    elif call.paused_at is not None:
        call.withhold(first_frame)
    line.memory.playing = None
    line.enter("recording", event.at)


def _record_from(line: LineContext, notice_end: int) -> int:
    """The first frame of the recording: the notice's start or its end, by policy."""
    assert line.memory.playing is not None
    started = line.memory.playing.started
    from_start = line.policy.record_from == "notice_start" and started is not None
    return started if from_start and started is not None else notice_end


def _end_notice(line: LineContext, at: int, *, whole: bool) -> None:
    assert line.memory.playing is not None
    line.call.notices[-1].ended_at = line.rfc3339(at)
    await_proof(line, line.memory.playing.started, at, whole=whole)
