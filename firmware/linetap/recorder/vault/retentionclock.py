# SPDX-License-Identifier: Apache-2.0
"""Retention time: the clock by which calls are destroyed. No I/O: samples of the machine's clocks in, a time out.

It moves only while there is an agreed clock: the kernel says that its own is synchronised, or the desk has answered
the unit's challenge. It never goes back, and it never goes on faster than something explains:
* within a boot by the monotonic clock. A clock that says more (`waiting`) moves nothing until the vault role has
  confirmed it; one that says less postpones nothing, the monotonic clock goes on counting.
* across boots nothing has counted. So much as `largest_gap` is taken from a synchronised clock, in all, since time was
  last told by a signature: switching a unit off and on again and again does not add up.
"""

from __future__ import annotations

import msgspec

from linetap.clock import NS_PER_S

TOLERANCE_NS = 10 * NS_PER_S  # an agreed clock may differ by so much from what was counted; a leap second is one
DRIFT_PPM = 500  # and by so much of what has passed since: the most that the kernel slews a clock, adjtimex(2)
FRESH_NS = 24 * 3600 * NS_PER_S  # a signed answer says of the kernel's clock only what it was so long before


class Sample(msgspec.Struct, frozen=True):
    """The machine's clocks at one moment. `boot` is another text in every boot."""

    utc_ns: int
    mono_ns: int
    boot: str
    synced: bool


class Memory(msgspec.Struct, kw_only=True):
    """All that it remembers, over restarts and power cuts.

    `now_ns` is retention time; None: there has never been an agreed clock, and nothing to destroy. In this boot it was
    `base_ns` when the monotonic clock was at `base_mono_ns`; `agreed`: that comes from a clock and not from before the
    boot.
    """

    now_ns: int | None = None
    boot: str = ""
    boots: int = 0
    base_ns: int = 0
    base_mono_ns: int = 0
    counted_ns: int = 0  # by the monotonic clock, agreed or not: so much has passed for sure
    agreed: bool = False
    unexplained_ns: int = 0  # taken across boots since time was last told by a signature
    waiting_ns: int = 0  # the agreed clock is so far ahead of what is explained; 0: it is not
    behind_ns: int = 0


class RetentionClock:
    def __init__(self, memory: Memory, largest_gap_ns: int) -> None:
        self.memory = memory
        self._largest_gap_ns = largest_gap_ns

    def see(self, sample: Sample) -> None:
        """Once a tick, agreed or not: the first sample of a boot is where counting begins."""
        self._meet(sample)
        memory = self.memory
        counted = memory.counted_ns = self._counted(sample)
        ahead = sample.utc_ns - counted
        is_behind = ahead < -TOLERANCE_NS - self._drift(sample)
        memory.behind_ns = -ahead if is_behind else 0  # wrong for sure, synchronised or not
        if not sample.synced:
            return
        if memory.now_ns is None:
            self._rebase(sample.utc_ns, sample, agreed=True)
            return
        memory.waiting_ns = 0
        if ahead > self._allowed(sample):
            memory.waiting_ns = ahead
        elif not is_behind:
            if not memory.agreed:
                memory.unexplained_ns += max(0, ahead)
                self._rebase(max(sample.utc_ns, memory.now_ns), sample, agreed=True)
            memory.now_ns = max(memory.now_ns, sample.utc_ns)
            return
        memory.now_ns = max(memory.now_ns, counted)

    def answer(self, utc_ns: int, asked_mono_ns: int, sample: Sample, confirms: bool) -> str | None:
        """A signed word of the time, given after it was asked for in this boot; `confirms`: of the vault role.

        None: taken. Else why it changes nothing: `time_ahead` (the vault role must confirm so much), `time_back`. So it
        is at least `utc_ns` now, and at most by so much more as has passed since it was asked.
        """
        self._meet(sample)
        memory = self.memory
        latest = utc_ns + sample.mono_ns - asked_mono_ns
        kernels = (
            sample.synced and -TOLERANCE_NS <= sample.utc_ns - utc_ns <= min(latest - utc_ns, FRESH_NS) + TOLERANCE_NS
        )
        said = sample.utc_ns if kernels else utc_ns
        if memory.now_ns is not None:
            counted = self._counted(sample)
            if latest < counted - TOLERANCE_NS - self._drift(sample):
                return "time_back"
            if not confirms and said > counted + self._allowed(sample):
                memory.waiting_ns = said - counted
                return "time_ahead"
            said = max(said, counted, memory.now_ns)
        self._rebase(said, sample, agreed=kernels)
        memory.unexplained_ns = memory.waiting_ns = memory.behind_ns = 0
        return None

    def _meet(self, sample: Sample) -> None:
        memory = self.memory
        if sample.boot == memory.boot:
            return
        memory.boot, memory.boots = sample.boot, memory.boots + 1
        memory.base_ns, memory.base_mono_ns = max(memory.now_ns or 0, memory.counted_ns), sample.mono_ns
        memory.agreed = False
        memory.waiting_ns = memory.behind_ns = 0

    def _rebase(self, now_ns: int, sample: Sample, agreed: bool) -> None:
        memory = self.memory
        memory.now_ns = memory.base_ns = memory.counted_ns = now_ns
        memory.base_mono_ns, memory.agreed = sample.mono_ns, agreed

    def _counted(self, sample: Sample) -> int:
        """What the monotonic clock makes of it."""
        return self.memory.base_ns + sample.mono_ns - self.memory.base_mono_ns

    def _allowed(self, sample: Sample) -> int:
        """So far ahead of what was counted an agreed clock may be."""
        gap = 0 if self.memory.agreed else max(0, self._largest_gap_ns - self.memory.unexplained_ns)
        return TOLERANCE_NS + self._drift(sample) + gap

    def _drift(self, sample: Sample) -> int:
        return (sample.mono_ns - self.memory.base_mono_ns) * DRIFT_PPM // 1_000_000
