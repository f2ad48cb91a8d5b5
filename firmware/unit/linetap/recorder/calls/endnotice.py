# SPDX-License-Identifier: Apache-2.0
"""The notice of a situation, or the warning before the longest time: requested, played and proven.

The recording continues meanwhile. After the proof, a warned call continues; the line of an ended call is released
(release.py), or staff hang up. The rules (endrules.py) are applied at the code and again after the proof.
"""

from __future__ import annotations

import msgspec

from linetap.config.schema import Situation
from linetap.recorder.calls.call import EndStep
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.endrules import HEARD, has_contact, has_learned_telephone, refusal_reason, refuse
from linetap.recorder.calls.gate import NOTICE_LATE_MS, NOTICE_TRIES, stop_notice
from linetap.recorder.calls.noticeproof import prove_notice, prove_own
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.notice.maskedtones import another_party_under_notice
from linetap.recorder.signals.notice.played import PlayedNotice
from linetap_core.errors import DeviceFault
from linetap_core.records import EndRecord, NoticeProof, NoticeRecord

ASK_AHEAD_MS = 200  # from the code to the notice: capture's buffer, and a batch of the recorder's


def follow_code(line: LineContext, event: Event, situation: Situation) -> None:
    """Marks the call and requests the notice of the situation, after staff have dialled its code."""
    call, name = line.call, situation.name
    call.situations = sorted({*call.situations, name})
    line.add_mark(event, name)
    line.report("marked", event.at, name, situation=name)
    if situation.then == "nothing" or line.memory.state == "tone_end" or call.step is not None:
        return
    begin_step(line, event, EndStep(name, situation.then, "code", situation.notice or "", event.at))


def begin_step(line: LineContext, event: Event, step: EndStep) -> None:
    """Requests the step's notice, unless a rule forbids it."""
    prove_notice(line, event.known)  # the notice before: from now on its echo mixes with this notice's
    why = refusal_reason(line) or (None if step.notice in line.shared.notices else "notice_missing")
    if why is None and step.by == "time" and line.shared.config.ending.end_s and not has_learned_telephone(line):
        why = "staff_unknown"
    if why is not None:
        refuse(line, event, step.situation, why, by_time=step.by == "time")
        return
    line.call.step = step
    if step.then == "end":
        line.call.end = EndRecord(situation=step.situation, by=step.by, code_at=line.rfc3339(step.asked))
        line.report("ending", event.at, situation=step.situation, notice=step.notice)
    _ask_for_notice(line, event)


def _ask_for_notice(line: LineContext, event: Event) -> None:
    step = _step(line)
    notice = line.shared.notices.get(step.notice)
    if notice is None:  # a restart with other notices
        abandon_step(line, event, "notice_missing")
        return
    at = event.known + ASK_AHEAD_MS * FRAMES_PER_MS
    step.tries, step.started = step.tries + 1, None
    try:
        line.shared.capture.play(line.config.number, notice.id, at)
    except DeviceFault as fault:
        abandon_step(line, event, fault.code)
        return
    line.memory.playing = PlayedNotice(notice.tag, notice.frames, at)
    latest = max(at, line.shared.capture.frame_now(line.config.number)) + NOTICE_LATE_MS * FRAMES_PER_MS
    line.enter("end_notice", event.known, latest)


def notice_started(line: LineContext, event: Event) -> None:
    """Records the start of the step's notice on the line."""
    step, playing = _step(line), line.memory.playing
    assert playing is not None
    step.started = event.at
    _keep_record(line, NoticeRecord(id=step.notice, started_at=line.rfc3339(event.at), began_after_answer=True))
    line.memory.deadline = event.at + playing.frames + NOTICE_LATE_MS * FRAMES_PER_MS


def notice_ended(line: LineContext, event: Event) -> None:
    """Awaits the last echo of a notice that was played to its end."""
    step = _step(line)
    assert step.played is not None
    step.ended, line.memory.playing = event.at, None
    _keep_record(line, msgspec.structs.replace(step.played, ended_at=line.rfc3339(event.at)))
    line.memory.deadline = event.at + line.profile.proof.delay_max_ms * FRAMES_PER_MS


def on_deadline(line: LineContext, event: Event) -> None:
    """Handles the deadline: the last echo has returned, or the notice has not begun or not ended."""
    if _step(line).ended is None:
        notice_failed(line, event)
    else:
        _after_proof(line, event)


def notice_failed(line: LineContext, event: Event) -> None:
    """Plays a notice that did not begin or was disturbed once more from its start, then gives it up."""
    stop_notice(line)
    if _step(line).tries < NOTICE_TRIES:
        _ask_for_notice(line, event)
    else:
        abandon_step(line, event, "notice_failed")


def _after_proof(line: LineContext, event: Event) -> None:
    call, step = line.call, end_step(line, event.at)
    why = None if step.played is not None and step.played.proof in HEARD else "notice_not_heard"
    if step.then == "end":
        why = why or refusal_reason(line)
        call.end_spoken = step.ended
    line.enter("recording", event.at)
    if why is not None:
        refuse(line, event, step.situation, why, by_time=step.by == "time")
    elif step.then == "end":
        if has_contact(line):  # else staff hang up
            call.release_due = event.at
            line.enter("end_opens", event.at, event.at)
    else:
        line.add_mark(event, "warned")
        line.report("warned", event.at, situation=step.situation, notice=step.notice, proof=_proof(step))
        if step.by == "time":
            call.warned_at = step.asked


def end_step(line: LineContext, until: int) -> EndStep:
    """Ends the step: stops its notice and proves it by the audio up to `until`."""
    call, step = line.call, _step(line)
    stop_notice(line)
    notice = line.shared.notices.get(step.notice)
    if notice is not None and step.started is not None and step.played is not None and until > step.started:
        last = (step.ended or until) + line.profile.proof.delay_max_ms * FRAMES_PER_MS
        captured = line.shared.audio.stretch(call.line, step.started, min(until, last)).samples[notice.words_from :]
        proof, numbers = prove_own(line, captured, notice)
        if step.then == "end" and step.ended is not None:
            call.waiting |= another_party_under_notice(captured, notice.words, numbers, line.profile)
        delay, elsewhere = proof.delay_ms, proof.elsewhere_ms
        _keep_record(
            line,
            msgspec.structs.replace(
                step.played,
                proof=proof.proof,
                score=proof.score,
                level_db=proof.level_db,
                delay_ms=msgspec.UNSET if delay is None else delay,
                elsewhere_ms=msgspec.UNSET if elsewhere is None else elsewhere,
            ),
        )
    call.notice_until = max(call.notice_until, until + line.profile.proof.delay_max_ms * FRAMES_PER_MS)
    call.step, call.step_before = None, step
    return step


def abandon_step(line: LineContext, event: Event, why: str) -> None:
    """Abandons the step and reports it: the call continues as if the step had not begun."""
    step = end_step(line, event.at)
    line.call.end = None
    line.enter("recording", event.known)
    refuse(line, event, step.situation, why, by_time=step.by == "time")


def _keep_record(line: LineContext, record: NoticeRecord) -> None:
    """Keeps the record of the step's notice, also in the record of the end."""
    call, step = line.call, _step(line)
    step.played = record
    if step.then == "end" and call.end is not None:
        call.end = msgspec.structs.replace(call.end, notice=record)


def _proof(step: EndStep) -> NoticeProof:
    return step.played.proof if step.played else "none"


def _step(line: LineContext) -> EndStep:
    assert line.call.step is not None
    return line.call.step
