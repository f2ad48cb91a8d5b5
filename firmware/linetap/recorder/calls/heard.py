# SPDX-License-Identifier: Apache-2.0
"""What is read from a stretch of a call's past, once: who calls, and whether the notice was heard."""

from __future__ import annotations

import msgspec

from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.owndelay import prove_own
from linetap.recorder.signals.caller.callerid import caller_id
from linetap.recorder.signals.notice.quiet import too_quiet_for
from linetap.records import Caller, NoticeRecord
from linetap.ring import RATE_HZ

LONGEST_PAUSE = 6 * RATE_HZ  # between two bursts: a caller ID further away is none
DIGITS_BEFORE = 10 * RATE_HZ  # of the first burst: digits further away are not about this call


def look_for_caller(line: LineContext, until: int) -> None:
    """Between the first burst of ringing and the second, or the answer; in digits, before the first. Once a call."""
    call = line.call
    if call.ring_frame is None:
        return
    first, call.ring_frame = call.ring_frame, None
    if line.config.caller_id == "off" or line.config.exempt:
        return
    digits = "".join(key.digit for key in line.memory.heard if 0 <= first - key.at <= DIGITS_BEFORE)
    audio = line.around.audio.stretch(line.config.number, first, min(until, first + LONGEST_PAUSE)).samples
    found = caller_id(audio, line.config.caller_id, digits, line.profile.caller_id, line.profile.fsk)
    if found is not None:
        call.caller = Caller(
            number=found.number, name=found.name, by=found.by, withheld=found.withheld, unreadable=not found.readable
        )


def await_proof(line: LineContext, started: int | None, ended: int, *, whole: bool) -> None:
    """The notice was played from `started` to `ended`: what the line returned of it can be judged a little later."""
    line.call.notice_from, line.call.notice_whole = started, whole
    line.call.notice_until = ended + line.profile.proof.delay_max_ms * RATE_HZ // 1000


def prove_notice(line: LineContext, until: int) -> None:
    """From what the line returned, up to its longest delay or to `until`, where the call ended earlier."""
    call = line.call
    if call.notice_from is None or until <= call.notice_from:
        return
    heard = line.around.audio.stretch(call.line, call.notice_from, min(until, call.notice_until)).samples
    record = call.notices[-1]
    samples = line.around.notices[record.id].samples
    proof, numbers = prove_own(line, heard, samples)
    record.proof, record.score, record.level_db = proof.proof, proof.score, proof.level_db
    record.delay_ms = msgspec.UNSET if proof.delay_ms is None else proof.delay_ms
    record.elsewhere_ms = msgspec.UNSET if proof.elsewhere_ms is None else proof.elsewhere_ms
    call.notice_from = None
    if proof.proof == "absent" and call.notice_whole:
        call.deaf = call.deaf or too_quiet_for(heard, samples, numbers)
    if record.began_after_answer is False:
        not_after_answer(record)


def not_after_answer(record: NoticeRecord) -> None:
    """Whoever answered cannot have heard the notice, whatever the line returned of it."""
    record.began_after_answer = False
    if record.proof in ("full", "partial"):
        record.proof = "early"
