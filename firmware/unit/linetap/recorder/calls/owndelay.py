# SPDX-License-Identifier: Apache-2.0
"""When a line returns what is played on it. The same notice at another time is somebody else's, and proves nothing.

`linetap line learn` measures it. On a line that was not learnt it is known once `delays_known_after` notices in a row
have come back at the same time, or from the other lines of its card; until then any delay is believed. A codec that was
started anew may return everything later than before: as many notices, heard whole at the same other time, are believed
again.
"""

from __future__ import annotations

import msgspec

from linetap.config.numbers import ProofNumbers
from linetap.notices import Notice
from linetap.notices.linelevel import gain_db
from linetap.recorder.calls.context import LineContext
from linetap.recorder.signals.notice.proof import Proof, prove
from linetap.ring import I16


def prove_own(line: LineContext, captured: I16, notice: Notice) -> tuple[Proof, ProofNumbers]:
    """What is proven of the line itself, and by which numbers. `captured`: from the notice's first word on."""
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
    """Those of the profile, and what is known of the line itself: with its gain the notice comes back louder."""
    numbers, memory = line.profile.proof, line.memory
    learned = line.around.learned.get(line.config.number)
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
    """All lines of a card are played and captured by one codec: what is known of the others holds for this one."""
    others = [other for other in line.around.lines if other.config.card == line.config.card and other is not line]
    learned = line.around.learned
    measured = [learned[n].echo_delay_ms for other in others if (n := other.config.number) in learned]
    known = sorted(d for d in [*measured, *(other.memory.echo_delay_ms for other in others)] if d is not None)
    return known[len(known) // 2] if known else None


def _agreed(line: LineContext, delay_ms: float | None) -> float | None:
    """Notes this delay; the delay in the middle of the last ones, once enough of them agree."""
    memory, numbers = line.memory, line.profile.proof
    if delay_ms is None:
        return None
    memory.delays_ms = [*memory.delays_ms, delay_ms][-numbers.delays_known_after :]
    last = sorted(memory.delays_ms)
    if len(last) < numbers.delays_known_after or last[-1] - last[0] > numbers.delays_agree_ms:
        return None
    memory.delays_ms = []
    return last[len(last) // 2]
