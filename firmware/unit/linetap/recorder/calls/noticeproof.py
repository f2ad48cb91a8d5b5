# SPDX-License-Identifier: Apache-2.0
"""Proves from the captured audio that the line's parties could hear the notice, and finds lines that are at fault.

**The proof.** After the longest delay of the notice's echo, or at the call's end, `prove_notice` judges what the line
returned.

**The line's own delay.** The same notice at another delay comes from another line and proves nothing. `linetap line
learn` measures the delay. On a line that was not learnt, the delay is known after `delays_known_after` consecutive
notices with the same delay, or from the other lines of its card; until then any delay is accepted. A restarted codec
may change the delay: another delay is accepted after the same number of whole notices.

**The fault.** A line whose notices are played and not heard is at fault. Only conditions that no caller can cause
count: notices played to the end, on a line so quiet that they would have been heard, in several calls over some time.
Calls of a line at fault are still announced, recorded and flagged; otherwise a caller could stop the recording by
provoking the fault.
"""

from __future__ import annotations

import msgspec

from linetap.config.numbers import ProofNumbers
from linetap.notices import Notice
from linetap.notices.level import gain_db
from linetap.recorder.calls.context import LineContext
from linetap.recorder.signals.notice.proof import Proof, prove, too_quiet_for
from linetap.ring import I16, RATE_HZ
from linetap_core.clock import NS_PER_S
from linetap_core.records import NoticeRecord

RETURNED = frozenset({"full", "partial", "early"})  # proofs of a notice that the line returned
NOT_HEARD = "notice_not_heard"


def await_proof(line: LineContext, started: int | None, ended: int, *, whole: bool) -> None:
    """Sets the time of the notice's proof, after its last echo. The notice was played from `started` to `ended`."""
    line.call.notice_from, line.call.notice_whole = started, whole
    line.call.notice_until = ended + line.profile.proof.delay_max_ms * RATE_HZ // 1000


def prove_notice(line: LineContext, until: int) -> None:
    """Proves the notice from what the line returned up to its longest delay, or to `until`."""
    call = line.call
    if call.notice_from is None or until <= call.notice_from:
        return
    captured = line.shared.audio.stretch(call.line, call.notice_from, min(until, call.notice_until)).samples
    record = call.notices[-1]
    notice = line.shared.notices.get(record.id)
    if notice is None:  # after a restart with other notices, the played samples are no longer known
        call.notice_from = None
        return
    captured = captured[notice.words_from :]
    proof, numbers = prove_own(line, captured, notice)
    record.proof, record.score, record.level_db = proof.proof, proof.score, proof.level_db
    record.delay_ms = msgspec.UNSET if proof.delay_ms is None else proof.delay_ms
    record.elsewhere_ms = msgspec.UNSET if proof.elsewhere_ms is None else proof.elsewhere_ms
    call.notice_from = None
    if proof.proof == "absent" and call.notice_whole:
        call.deaf = call.deaf or too_quiet_for(captured, notice.words, numbers)
    if record.began_after_answer is False:
        call.heard_as = proof.proof
        not_after_answer(record)


def not_after_answer(record: NoticeRecord) -> None:
    """Lowers a proof to `early`: the party that answered cannot have heard this notice."""
    record.began_after_answer = False
    if record.proof in ("full", "partial"):
        record.proof = "early"


def prove_own(line: LineContext, captured: I16, notice: Notice) -> tuple[Proof, ProofNumbers]:
    """The proof by the line's own echo, and the numbers that were used for it.

    `captured`: from the notice's first word on.
    """
    memory, numbers = line.memory, numbers_of(line, notice)
    proof = prove(captured, notice.words, numbers)
    if numbers.echo_delay_ms is None:
        if proof.proof == "full" and (known := _agreed(line, proof.delay_ms)) is not None:
            memory.echo_delay_ms = known
        return proof, numbers
    if proof.proof != "absent":
        memory.delays_ms = []
    elif proof.elsewhere_ms is not None:
        there = msgspec.structs.replace(numbers, echo_delay_ms=proof.elsewhere_ms)
        other = prove(captured, notice.words, there)
        if other.proof == "full" and (known := _agreed(line, other.delay_ms)) is not None:
            memory.echo_delay_ms = known
            return other, there
    return proof, numbers


def numbers_of(line: LineContext, notice: Notice) -> ProofNumbers:
    """The profile's proof numbers, adapted to the line: its gain makes the notice return louder."""
    numbers, memory = line.profile.proof, line.memory
    learned = line.shared.learned.get(line.config.number)
    if learned is not None:
        echo_db = numbers.echo_db if learned.echo_db is None else learned.echo_db
        echo_db += gain_db(notice.samples, learned, line.policy, line.profile.notice)
        delay_ms = numbers.echo_delay_ms if learned.echo_delay_ms is None else learned.echo_delay_ms
        numbers = msgspec.structs.replace(numbers, echo_db=echo_db, echo_delay_ms=delay_ms)
    if memory.echo_delay_ms is not None:
        return msgspec.structs.replace(numbers, echo_delay_ms=memory.echo_delay_ms)
    if numbers.echo_delay_ms is None:
        return msgspec.structs.replace(numbers, echo_delay_ms=_of_the_card(line))
    return numbers


def _of_the_card(line: LineContext) -> float | None:
    """The delay of the card's other lines, if known: one codec plays and captures them all."""
    others = [other for other in line.shared.lines if other.config.card == line.config.card and other is not line]
    learned = line.shared.learned
    measured = [learned[n].echo_delay_ms for other in others if (n := other.config.number) in learned]
    known = sorted(d for d in [*measured, *(other.memory.echo_delay_ms for other in others)] if d is not None)
    return known[len(known) // 2] if known else None


def _agreed(line: LineContext, delay_ms: float | None) -> float | None:
    """Adds this delay to the last delays; returns their median once enough of them agree."""
    memory, numbers = line.memory, line.profile.proof
    if delay_ms is None:
        return None
    memory.delays_ms = [*memory.delays_ms, delay_ms][-numbers.delays_known_after :]
    last = sorted(memory.delays_ms)
    if len(last) < numbers.delays_known_after or last[-1] - last[0] > numbers.delays_agree_ms:
        return None
    memory.delays_ms = []
    return last[len(last) // 2]


def count_deafness(line: LineContext) -> None:
    """Counts, at a call's end, calls whose notice was not heard; reports the fault after enough of them."""
    memory, call = line.memory, line.call
    proofs = {notice.proof for notice in call.notices}
    if proofs & RETURNED:
        memory.unheard_calls, memory.deaf_calls, memory.deaf_first_ns = 0, 0, None
        least = line.profile.proof.full_share
        if memory.deaf_since_ns is not None and any((notice.score or 0) >= least for notice in call.notices):
            clear_deafness(line)
        return
    if call.deaf is None:
        return
    memory.unheard_calls += 1
    if call.deaf:
        _count(line)
    if memory.deaf_since_ns is not None and call.disposition == "recorded":
        call.why = call.why or NOT_HEARD


def _count(line: LineContext) -> None:
    memory, now_ns = line.memory, line.call.ended_ns
    assert now_ns is not None
    if memory.deaf_first_ns is None or memory.deaf_first_ns > now_ns:  # else the clock was set back
        memory.deaf_first_ns = now_ns
    memory.deaf_calls += 1
    long_enough = now_ns - memory.deaf_first_ns >= line.policy.deaf_span_s * NS_PER_S
    if memory.deaf_calls >= line.policy.deaf_calls and long_enough and memory.deaf_since_ns is None:
        memory.deaf_since_ns = now_ns
        line.shared.vault.remember_fault(line.config.number, now_ns)


def clear_deafness(line: LineContext) -> None:
    """Clears the fault: a whole notice was heard on the line, or the line was learnt."""
    memory = line.memory
    memory.unheard_calls, memory.deaf_calls, memory.deaf_first_ns, memory.deaf_since_ns = 0, 0, None, None
    line.shared.vault.remember_fault(line.config.number, None)
