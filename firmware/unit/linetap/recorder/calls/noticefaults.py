# SPDX-License-Identifier: Apache-2.0
"""A line on which notices are played and not heard.

Only what no caller can bring about counts: a notice played to its end, on a line so quiet that the notice would have
been heard, in several calls over some time. A line at fault is alarmed and goes on: its calls are announced, recorded
and flagged, for whoever could stop recording with a fault would soon know how to make one.
"""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap_core.clock import NS_PER_S

HEARD = frozenset({"full", "partial", "early"})
NOT_HEARD = "notice_not_heard"


def count_deafness(line: LineContext) -> None:
    """At a call's end."""
    memory, call = line.memory, line.call
    proofs = {notice.proof for notice in call.notices}
    if proofs & HEARD:
        memory.unheard_calls, memory.deaf_calls, memory.deaf_first_ns = 0, 0, None
        least = line.profile.proof.full_share
        if memory.deaf_since_ns is not None and any((notice.score or 0) >= least for notice in call.notices):
            mend(line)
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
    if memory.deaf_first_ns is None or memory.deaf_first_ns > now_ns:  # the clock may have been set back
        memory.deaf_first_ns = now_ns
    memory.deaf_calls += 1
    long_enough = now_ns - memory.deaf_first_ns >= line.policy.deaf_span_s * NS_PER_S
    if memory.deaf_calls >= line.policy.deaf_calls and long_enough and memory.deaf_since_ns is None:
        memory.deaf_since_ns = now_ns
        line.around.vault.remember_fault(line.config.number, now_ns)


def mend(line: LineContext) -> None:
    """A notice was heard on it to its end, or somebody has had the line learnt."""
    memory = line.memory
    memory.unheard_calls, memory.deaf_calls, memory.deaf_first_ns, memory.deaf_since_ns = 0, 0, None, None
    line.around.vault.remember_fault(line.config.number, None)
