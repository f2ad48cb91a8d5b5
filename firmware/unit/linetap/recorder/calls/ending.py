# SPDX-License-Identifier: Apache-2.0
"""The end of a call, recorded or not. Every call ends in exactly one record."""

from __future__ import annotations

import msgspec

from linetap.config.retention import retention_of
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.doubtfulanswer import UNKNOWN, confirm_by_two_voices
from linetap.recorder.calls.mailboxbeep import prove_at_end
from linetap.recorder.calls.noticeproof import count_deafness
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ
from linetap_core.clock import NS_PER_MS
from linetap_core.records import Disposition, EndedBy, NoticeRecord, ReleaseSeenBy

SET_MS = 500
DRIFT_PPM = 500  # of a codec against the system's clock


def leave_unrecorded(line: LineContext, event: Event, disposition: Disposition, why: str) -> None:
    """Leaves the call unrecorded while the line is in use; its record gives the reason."""
    line.call.disposition, line.call.why = disposition, why
    line.enter("passing", event.at)


def end_unanswered(line: LineContext, event: Event) -> None:
    """Ends an outgoing call that was not answered."""
    end_without_recording(line, event, "unanswered", line.call.tone or "not_answered")


def end_passed(line: LineContext, event: Event) -> None:
    """Ends an unrecorded call.

    In a long internal call another party may have joined: the record then has `party_unknown`.
    """
    call = line.call
    if (
        call.why == "internal"
        and call.direction == "in"
        and call.internal_by != "ring"
        and call.answered_ns is not None
    ):
        since = event.at - line.anchor.frame_at(call.answered_ns)
        call.party_unknown |= since > line.profile.colleague_ms * RATE_HZ // 1000
    end_without_recording(line, event, line.call.disposition, line.call.why)


def end_without_recording(line: LineContext, event: Event, disposition: Disposition, why: str) -> None:
    """Ends a call that has no recording."""
    end_call(line, event, disposition, why, ended_by(event))


def end_recording(line: LineContext, event: Event) -> None:
    """Ends a recording where the loop opened, or where the last party that heard the notice left."""
    call = line.call
    prove_at_end(line, event.at)
    swapped = call.swapped_at if call.swap_spoken and call.swapped_at != call.put_down_at else None
    last = min([event.at, *(frame for frame in (call.paused_at, swapped) if frame is not None)])
    if call.first_frame is not None and last > call.first_frame:
        end_call(line, event, "recorded", call.why, ended_by(event), last)
    else:  # the loop opened before the recording was to begin
        why = "ended_during_notice" if _notices_until(line, event.at) else "ended_before_notice"
        end_call(line, event, "discarded", why, ended_by(event))


def end_by_tone(line: LineContext, event: Event) -> None:
    """Ends a call at the start of the busy tone: the far end has hung up."""
    call = line.call
    last = min(event.at, call.tone_known)
    prove_at_end(line, last)
    if call.first_frame is not None and last > call.first_frame:
        end_call(line, Event(event.known, event.name, call.tone_at), "recorded", call.why, "tone", last)
    else:
        end_call(line, event, "discarded", "ended_during_notice", "tone")


def end_by_tone_still_held(line: LineContext, event: Event) -> None:
    """Ends a call by tone while the handset is still off its cradle: a later voice begins a new record."""
    continues = line.call.call_id
    end_by_tone(line, event)
    line.memory.continues = continues
    line.enter("held", event.at)


def seal_and_continue(line: LineContext, event: Event) -> None:
    """Seals the record of a recording at its longest length; the next record continues at the following frame."""
    call = line.call
    ended = msgspec.structs.replace(call)
    line.open_held_recording()
    following = msgspec.structs.replace(
        call,
        call_id=line.new_call_id(event.at),
        continues=call.call_id,
        first_frame=event.at,
        answered_ns=line.utc_ns(event.at),
        talking_from=answered_frame(line),
        end=None,
        withheld=[],
        by_sound=0,
        also_dialled=[],
        marks=[],
        was_marked=call.is_marked,
    )
    line.memory.call = ended
    end_call(line, event, "recorded", ended.why, "time_limit", event.at)
    line.memory.call = following
    line.report("started", event.at)
    line.shared.vault.open(following.call_id, line.config.number, event.at)
    line.enter("recording", event.at)


def ended_by(event: Event) -> EndedBy:
    """The cause of the end of a call after its loop opened."""
    return "loop_break" if event.name == "loop_break" else "on_hook"


def answered_frame(line: LineContext) -> int:
    """The frame of the answer, also in a record that continues another."""
    call = line.call
    if call.talking_from is None and call.answered_ns is not None:
        return line.anchor.frame_at(call.answered_ns)
    return call.talking_from or call.first_frame or 0


def _after_end_notice(line: LineContext, at: int, by: EndedBy | None) -> EndedBy | None:
    """The cause of an announced end at frame `at`; records how the line became free."""
    call = line.call
    if call.end is None or call.end_spoken is None:
        return by
    if at < call.end_spoken and call.end.notice is not None:  # a notice played after it had no listener
        notice = msgspec.structs.replace(call.end.notice, ended_at=line.rfc3339(at))
        call.end = msgspec.structs.replace(call.end, notice=notice)
        return by
    seen_by: ReleaseSeenBy = call.end.seen_by
    if by == "on_hook":
        by, seen_by = "staff_after_notice", seen_by if call.release_asked else "staff"
    elif by == "tone":
        seen_by = "dial_tone" if call.tone == "dial" else "busy_tone"
    call.end = msgspec.structs.replace(call.end, seen_by=seen_by)
    return by


def _notices_until(line: LineContext, at: int) -> list[NoticeRecord]:
    """The call's notices up to frame `at`, where its loop opened.

    The opening is certain only later: a notice may have begun or continued meanwhile.
    """
    end = line.rfc3339(at)
    return [
        notice if notice.ended_at is None or notice.ended_at <= end else msgspec.structs.replace(notice, ended_at=end)
        for notice in line.call.notices
        if notice.started_at < end
    ]


def _stepped_ms(line: LineContext, frame: int) -> int:
    """The clock's step since the call began; 0 within a codec's drift."""
    ms = (line.batch.utc_ns_at(frame) - line.utc_ns(frame)) // NS_PER_MS
    since_ms = (frame - line.anchor.frame) * 1000 // RATE_HZ
    return ms if abs(ms) > SET_MS + since_ms * DRIFT_PPM // 1_000_000 else 0


def end_call(
    line: LineContext,
    event: Event,
    disposition: Disposition,
    why: str,
    by: EndedBy | None = None,
    end_frame: int | None = None,
) -> None:
    """Ends the call: completes its record, reports and seals it.

    `end_frame`: the end of its recording, if it has one.
    """
    call = line.call
    if end_frame is not None:
        confirm_by_two_voices(line, end_frame)
        why = call.why if why == UNKNOWN else why
    call.ended_ns, call.ended_by = line.utc_ns(event.at), _after_end_notice(line, event.at, by)
    call.disposition, call.why = disposition, why
    if (notices := _notices_until(line, event.at)) != call.notices:
        call.notices, call.deaf = notices, None  # nobody was there to hear it
    count_deafness(line)
    clock = line.shared.clock_record(call.line)
    if stepped_ms := _stepped_ms(line, event.at):
        clock = msgspec.structs.replace(clock, stepped_ms=stepped_ms)
    if end_frame is not None:
        line.open_held_recording()
    record = call.record(line.shared.config.unit, clock)
    situations = {*call.situations, *([call.end.situation] if call.end else [])}
    record.retention = retention_of(
        line.shared.config, call.ended_ns, call.line, disposition, call.is_marked, situations
    )
    line.report("missed" if disposition == "missed" else "ended", event.at)
    line.shared.vault.close(call.call_id, end_frame, record, call.withheld)
    for listener in line.shared.ended:
        listener(record)
    line.memory.call, line.memory.playing, line.memory.idle_keys = None, None, []
    line.enter("held" if event.name == "loop_break" else "idle", event.at)
