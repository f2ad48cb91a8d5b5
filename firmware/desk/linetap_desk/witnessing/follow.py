# SPDX-License-Identifier: Apache-2.0
"""`linetap checkpoint --config desk.toml --follow`: a head goes to the witnesses when it arrives, and not with the next
round.

A head that is new in LOGS/UNIT is carried within LOOK_S, at most once in EVERY_S of one log: a busy unit signs one
every ten seconds, and each checkpoint that is carried is kept. What got no quorum is tried again after AGAIN_S; units
that are new, and the proofs beside the copies, come with a round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.evidence.unitlog import HEAD
from linetap_desk.witnessing.configured import Round

LOOK_S = 1
EVERY_S = 60
AGAIN_S = 30
ROUND_S = 300

Carry = Callable[[Path, Path, bool], bool]  # log, its keeper's key, whether the proofs are written too


@dataclass(slots=True)
class _Log:
    """What was carried last of it, and when the next may be; monotonic."""

    stamp: tuple[int, int, int] | None = None
    not_before_ns: int = 0
    good: bool = True
    proofs_due_ns: int = 0
    proofs_wanted: bool = True


class Follower:
    def __init__(self, carry: Carry, clock: Clock) -> None:
        self._carry, self._clock = carry, clock
        self._logs: dict[Path, _Log] = {}

    def look(self, wanted: Round) -> int:
        """Carries what is new and due; so many logs have not their quorum."""
        for log, key in wanted.logs:
            self._look(self._logs.setdefault(log, _Log()), log, key)
        for gone in self._logs.keys() - {log for log, _ in wanted.logs}:
            del self._logs[gone]
        return sum(not one.good for one in self._logs.values())

    def _look(self, one: _Log, log: Path, key: Path) -> None:
        now_ns, stamp = self._clock.monotonic_ns(), _stamp(log)
        proofs = one.proofs_wanted and now_ns >= one.proofs_due_ns
        if now_ns < one.not_before_ns or (stamp == one.stamp and one.good and not proofs):
            return
        one.proofs_wanted = one.proofs_wanted or stamp != one.stamp
        one.good = self._carry(log, key, proofs)
        one.stamp = stamp  # of before: what came meanwhile is carried next
        one.not_before_ns = self._clock.monotonic_ns() + (EVERY_S if one.good else AGAIN_S) * NS_PER_S
        if proofs and one.good:
            one.proofs_wanted, one.proofs_due_ns = False, self._clock.monotonic_ns() + ROUND_S * NS_PER_S


def _stamp(log: Path) -> tuple[int, int, int] | None:
    try:
        found = (log / HEAD).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
