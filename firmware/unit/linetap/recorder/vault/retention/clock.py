# SPDX-License-Identifier: Apache-2.0
"""Retention time: the clock by which calls are destroyed. No I/O: samples of the machine's clocks in, a time out.

Two times are kept, since one of them can be moved by whoever moves the clock:
* `now_ns`, the date. It follows the kernel's clock while that is synchronised, and signed answers. What it takes beyond
  what was counted is unconfirmed, whoever says it: a time server, the desk, one vault officer. All of that together,
  over boots and answers, is at most `largest_gap` since two vault officers confirmed the time; only they give it back.
* `elapsed_ns`, what the monotonic clock has counted while the unit was on. Nobody can move it. A call is destroyed when
  its date has come and its whole period has elapsed since it was sealed (`age_ns`). Two officers make good what nobody
  counted, for the calls that were sealed before (`Credit`).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from linetap_core.clock import NS_PER_DAY, NS_PER_MS, NS_PER_S
from linetap_core.records import CountedMoment

TOLERANCE_NS = 10 * NS_PER_S  # an agreed clock may differ by so much from what was counted; a leap second is one
DRIFT_PPM = 500  # and by so much of what has passed since: the most that the kernel slews a clock, adjtimex(2)
FRESH_NS = NS_PER_DAY  # a signed answer says of the kernel's clock only what it was so long before
MOST_ANCHORS = 400
MOST_CREDITS = 1000  # the oldest go first, which makes calls of that time late and never early


class Sample(msgspec.Struct, frozen=True):
    """The machine's clocks at one moment. `boot` is another text in every boot."""

    utc_ns: int
    mono_ns: int
    boot: str
    synced: bool


class Confirmed(msgspec.Struct, frozen=True):
    """Two vault officers said that it was `utc_ns`, when so much had elapsed, in this boot."""

    utc_ns: int
    elapsed_ns: int
    boot: int


class Credit(msgspec.Struct, frozen=True):
    """So much passed uncounted, behind boot `boot`; two officers have confirmed it."""

    boot: int
    ns: int


class Anchor(msgspec.Struct, frozen=True):
    """It was `utc_ns` when so much had elapsed, in this boot: by an agreed clock; or by a signed answer, which may have
    been on its way for `unsure_ns`."""

    boot: int
    elapsed_ns: int
    utc_ns: int
    unsure_ns: int = 0


class Span(NamedTuple):
    """The moment of something counted: `latest_ns` if nothing was missed, and not before `earliest_ns`; None: not
    known."""

    latest_ns: int
    earliest_ns: int | None


class Memory(msgspec.Struct, kw_only=True):
    """All that it remembers, over restarts and power cuts.

    `now_ns` is retention time; None: there has never been an agreed clock, and nothing to destroy. In this boot it was
    `base_ns` when the monotonic clock was at `base_mono_ns`; `agreed`: that comes from a clock and not from before the
    boot. `name` is of this memory: one that was lost is followed by another.
    """

    now_ns: int | None = None
    boot: str = ""
    boots: int = 0
    base_ns: int = 0
    base_mono_ns: int = 0
    counted_ns: int = 0  # by the monotonic clock, agreed or not: so much has passed for sure
    agreed: bool = False
    excess_ns: int = 0  # of `now_ns` over what was counted from `base_ns`; part of `unexplained_ns`
    unexplained_ns: int = 0  # unconfirmed time taken since two vault officers confirmed the time
    waiting_ns: int = 0  # the agreed clock is so far ahead of what is explained; 0: it is not
    behind_ns: int = 0
    name: str = ""
    elapsed_ns: int = 0
    seen_mono_ns: int | None = None  # in this boot `elapsed_ns` is up to here; None: not begun
    since_ns: int | None = None  # UTC when `elapsed_ns` was 0; None: nobody knows it
    confirmed: Confirmed | None = None
    credits: list[Credit] = []
    synced: bool = False  # the machine's clock, when it was last looked at
    dated: bool = False  # the date was confirmed in this boot, by an agreed clock or a signed answer
    dating: int = 0  # grows when the date is confirmed or put back: earlier datings may have changed
    boot_elapsed_ns: int = 0  # when this boot began
    anchors: list[Anchor] = []  # the newest MOST_ANCHORS, one a boot

    def forget_date(self) -> None:
        """It was wrong for sure. What was counted stands."""
        self.now_ns = self.confirmed = None
        self.base_ns = self.counted_ns = self.excess_ns = self.unexplained_ns = 0
        self.agreed = self.dated = False
        self.dating, self.anchors, self.since_ns = self.dating + 1, [], None
        self.boot = ""  # its base was of that date


class RetentionClock:
    def __init__(self, memory: Memory, largest_gap_ns: int) -> None:
        self.memory = memory
        self._largest_gap_ns = largest_gap_ns

    def see(self, sample: Sample) -> None:
        """Once a tick, agreed or not: the first sample of a boot is where counting begins."""
        self._meet(sample)
        memory = self.memory
        memory.synced = sample.synced
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
        if ahead > self._plausible(sample):
            memory.waiting_ns = ahead
        elif not is_behind:
            reached = counted + self._take(ahead)
            if not memory.agreed:
                self._rebase(max(min(sample.utc_ns, reached), memory.now_ns), sample, agreed=True)
            memory.now_ns = max(memory.now_ns, min(sample.utc_ns, reached))
            return
        memory.now_ns = max(memory.now_ns, counted)

    def answer(self, utc_ns: int, asked_mono_ns: int, sample: Sample, confirms: bool) -> str | None:
        """A signed word of the time, given after it was asked for in this boot; `confirms`: of two vault officers.

        None: taken. Else why it changes nothing: `time_ahead` (two officers must confirm so much), `time_back`. So it
        is at least `utc_ns` now, and at most by so much more as has passed since it was asked.
        """
        self._meet(sample)
        memory = self.memory
        latest = utc_ns + sample.mono_ns - asked_mono_ns
        kernels = (
            sample.synced and -TOLERANCE_NS <= sample.utc_ns - utc_ns <= min(latest - utc_ns, FRESH_NS) + TOLERANCE_NS
        )
        said = sample.utc_ns if kernels else utc_ns
        if confirms:
            return self._confirm(said, latest, sample, kernels)
        if memory.now_ns is not None:
            counted = self._counted(sample)
            if latest < counted - TOLERANCE_NS - self._drift(sample):
                return "time_back"
            if said > counted + self._plausible(sample):
                memory.waiting_ns = said - counted
                return "time_ahead"
            said = max(min(said, counted + self._take(said - counted)), counted, memory.now_ns)
        self._rebase(said, sample, agreed=kernels, unsure_ns=0 if kernels else latest - utc_ns)
        memory.waiting_ns = memory.behind_ns = 0
        return None

    @property
    def is_dated(self) -> bool:
        """The date was confirmed in this boot, and no trusted clock contradicts it: calls get their end."""
        memory = self.memory
        return memory.dated and not memory.waiting_ns and not (memory.behind_ns and memory.synced)

    @property
    def date_ns(self) -> int:
        """The date when `elapsed_ns` was last counted, agreed at that moment or not. Of use only when it `is_dated`."""
        memory = self.memory
        since_ns = 0 if memory.seen_mono_ns is None else memory.seen_mono_ns - memory.base_mono_ns
        return max(memory.now_ns or 0, memory.base_ns + since_ns)

    def span(self, moment: CountedMoment | None) -> Span | None:
        """When `moment` was; None while nobody knows the date. One that is not of this count was before it.

        Time that nobody counted makes it earlier than it seems and never later, so `latest_ns` is sure.
        """
        memory = self.memory
        if not self.is_dated or memory.now_ns is None:
            return None
        now_ns, elapsed_ns = self.date_ns, memory.elapsed_ns
        if moment is None or moment.memory != memory.name:
            return Span(now_ns - elapsed_ns, None)
        boot, at_ns = moment.boot, moment.ms * NS_PER_MS
        unsure_ns = next((each.unsure_ns for each in memory.anchors if each.boot == memory.boots), 0)
        now_ns += unsure_ns
        if boot == memory.boots:
            latest_ns = now_ns - max(0, elapsed_ns - at_ns)
            return Span(latest_ns, latest_ns - 2 * unsure_ns)
        latest_ns, earliest_ns = now_ns - max(0, elapsed_ns - min(at_ns, memory.boot_elapsed_ns)), None
        for anchor in memory.anchors:
            if anchor.boot == boot:
                at_utc_ns = anchor.utc_ns + at_ns - anchor.elapsed_ns
                return Span(at_utc_ns + anchor.unsure_ns, at_utc_ns - anchor.unsure_ns)
            if anchor.boot < boot:
                earliest_ns = anchor.utc_ns - anchor.unsure_ns + max(0, at_ns - anchor.elapsed_ns)
            else:
                seen_ns = anchor.utc_ns + anchor.unsure_ns - max(0, anchor.elapsed_ns - at_ns)
                latest_ns = min(latest_ns, seen_ns)
        return Span(latest_ns, None if earliest_ns is None else min(earliest_ns, latest_ns))

    def moment_at(self, mono_ns: int) -> CountedMoment:
        """For another thread than the one that counts: never before the moment that it is."""
        memory = self.memory
        seen_ns = memory.seen_mono_ns  # before what was counted up to then: the other way round it could be too old
        elapsed_ns = memory.elapsed_ns + max(0, mono_ns - (mono_ns if seen_ns is None else seen_ns))
        return CountedMoment(memory=memory.name, boot=memory.boots, ms=-(-elapsed_ns // NS_PER_MS))

    def moment(self, sample: Sample) -> CountedMoment:
        """Now, as a record names it; rounded up, so that nothing is older than it is."""
        self._meet(sample)
        memory = self.memory
        return CountedMoment(memory=memory.name, boot=memory.boots, ms=-(-memory.elapsed_ns // NS_PER_MS))

    def age_ns(self, moment: CountedMoment | None, at_ns: int | None) -> int:
        """So much has passed for sure since `moment`. None: an older version sealed it, at `at_ns` if its clock was
        synchronised, else at None. Of a moment that is not of this memory it is only known that it was before."""
        memory = self.memory
        boot = start_ns = 0
        if moment is not None and moment.memory == memory.name:
            boot, start_ns = moment.boot, moment.ms * NS_PER_MS
        elif moment is None and at_ns is not None and memory.since_ns is not None:
            start_ns = min(0, at_ns - memory.since_ns)  # it was before, whatever the clock said
        return memory.elapsed_ns - start_ns + sum(credit.ns for credit in memory.credits if boot <= credit.boot)

    def _confirm(self, said: int, latest: int, sample: Sample, kernels: bool) -> str | None:
        """Two officers may put right what nobody confirmed, also backwards: it was moved by one key or one server.

        What they confirmed earlier stands, and so does what has elapsed since.
        """
        memory, told_ns = self.memory, said
        before = memory.confirmed
        if before is not None:
            sure = before.utc_ns + memory.elapsed_ns - before.elapsed_ns
            if latest < sure - TOLERANCE_NS - (memory.elapsed_ns - before.elapsed_ns) * DRIFT_PPM // 1_000_000:
                return "time_back"
            said = max(said, min(sure, latest))
            if said > sure and memory.boots > before.boot:  # it was off in between: else nothing explains it
                memory.credits = [*memory.credits, Credit(before.boot, said - sure)][-MOST_CREDITS:]
        if memory.now_ns is not None and not kernels:  # what was counted, as far as the answer lets it be
            said = max(said, min(self._counted(sample), latest))
        if memory.now_ns is not None and said < memory.now_ns - TOLERANCE_NS:  # what was dated since was wrong
            memory.anchors = [
                each for each in memory.anchors if before is not None and each.elapsed_ns <= before.elapsed_ns
            ]
        self._rebase(said, sample, agreed=kernels, unsure_ns=0 if kernels else max(0, latest - told_ns))
        memory.unexplained_ns = memory.waiting_ns = memory.behind_ns = 0
        memory.confirmed = Confirmed(said, memory.elapsed_ns, memory.boots)
        return None

    def _meet(self, sample: Sample) -> None:
        memory = self.memory
        if sample.boot != memory.boot:
            memory.boot, memory.boots = sample.boot, memory.boots + 1
            memory.base_ns, memory.base_mono_ns = max(memory.now_ns or 0, memory.counted_ns), sample.mono_ns
            memory.agreed, memory.excess_ns, memory.seen_mono_ns = False, 0, sample.mono_ns
            memory.dated, memory.boot_elapsed_ns = False, memory.elapsed_ns
            memory.waiting_ns = memory.behind_ns = 0
        if memory.seen_mono_ns is not None:
            memory.elapsed_ns += max(0, sample.mono_ns - memory.seen_mono_ns)
        memory.seen_mono_ns = sample.mono_ns

    def _take(self, ahead_ns: int) -> int:
        """So much of `ahead_ns` over what was counted is believed; what is new of it is taken from the allowance."""
        memory = self.memory
        more = min(max(0, ahead_ns - memory.excess_ns), self._left())
        memory.unexplained_ns += more
        memory.excess_ns += more
        return memory.excess_ns

    def _rebase(self, now_ns: int, sample: Sample, agreed: bool, unsure_ns: int = 0) -> None:
        memory = self.memory
        memory.now_ns = memory.base_ns = memory.counted_ns = now_ns
        memory.base_mono_ns, memory.agreed, memory.excess_ns = sample.mono_ns, agreed, 0
        memory.dated, memory.dating = True, memory.dating + 1
        others = [each for each in memory.anchors if each.boot != memory.boots]
        memory.anchors = [*others, Anchor(memory.boots, memory.elapsed_ns, now_ns, unsure_ns)][-MOST_ANCHORS:]

    def _counted(self, sample: Sample) -> int:
        """What the monotonic clock makes of it."""
        return self.memory.base_ns + sample.mono_ns - self.memory.base_mono_ns

    def _left(self) -> int:
        return max(0, self._largest_gap_ns - self.memory.unexplained_ns)

    def _plausible(self, sample: Sample) -> int:
        """So far ahead of what was counted a clock may be and count as right. How much of it is taken, `_take` says."""
        return TOLERANCE_NS + self._drift(sample) + (0 if self.memory.agreed else self._left())

    def _drift(self, sample: Sample) -> int:
        return (sample.mono_ns - self.memory.base_mono_ns) * DRIFT_PPM // 1_000_000
