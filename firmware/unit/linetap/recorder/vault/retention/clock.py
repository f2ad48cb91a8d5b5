# SPDX-License-Identifier: Apache-2.0
"""Retention time, the clock by which calls are destroyed. No I/O: samples of the machine's clocks in, a time out.

Two times are kept, since anybody who can set the clock can change the first:
* `now_ns`, the date. It follows the kernel's clock while that is synchronised, and signed answers. Time beyond the
  counted time is unconfirmed, whether from a time server, the desk, or one vault officer. The total of unconfirmed
  time, over boots and answers, is at most `largest_gap` since two vault officers confirmed the time. Only they reset
  the total.
* `elapsed_ns`, the time that the monotonic clock has counted while the unit was on. Nobody can change it. A call is
  destroyed when its date has come and its whole period has elapsed since its seal (`age_ns`). Two officers can credit
  time that was not counted, for calls sealed before (`Credit`).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from linetap_core.clock import NS_PER_DAY, NS_PER_MS, NS_PER_S
from linetap_core.records import CountedMoment

TOLERANCE_NS = 10 * NS_PER_S  # allowed difference between an agreed clock and counted time; covers a leap second
DRIFT_PPM = 500  # added tolerance, as a share of the time since: the fastest slew of the kernel, adjtimex(2)
FRESH_NS = NS_PER_DAY  # longest time before a signed answer for which it confirms the kernel's clock
MOST_ANCHORS = 400
MOST_CREDITS = 1000  # the oldest are dropped first, which delays the destruction of calls and never hastens it


class Sample(msgspec.Struct, frozen=True):
    """The machine's clocks at one moment. `boot` differs in every boot."""

    utc_ns: int
    mono_ns: int
    boot: str
    synced: bool


class Confirmed(msgspec.Struct, frozen=True):
    """The confirmation of `utc_ns` by two vault officers, at this elapsed time, in this boot."""

    utc_ns: int
    elapsed_ns: int
    boot: int


class Credit(msgspec.Struct, frozen=True):
    """Time that passed uncounted after boot `boot`, confirmed by two officers."""

    boot: int
    ns: int


class Anchor(msgspec.Struct, frozen=True):
    """The time `utc_ns` at this elapsed time of this boot: by an agreed clock, or by a signed answer, which may be up
    to `unsure_ns` old.
    """

    boot: int
    elapsed_ns: int
    utc_ns: int
    unsure_ns: int = 0


class Span(NamedTuple):
    """The time of a counted event: `latest_ns` if no time was missed, and not before `earliest_ns`; None: unknown."""

    latest_ns: int
    earliest_ns: int | None


class Memory(msgspec.Struct, kw_only=True):
    """The state of the clock over restarts and power cuts.

    `now_ns` is retention time; None: there was never an agreed clock, and nothing is destroyed. In this boot retention
    time was `base_ns` when the monotonic clock was at `base_mono_ns`; `agreed`: this pair comes from a clock, not from
    before the boot. `name` identifies this memory: the successor of a lost memory has another name.
    """

    now_ns: int | None = None
    boot: str = ""
    boots: int = 0
    base_ns: int = 0
    base_mono_ns: int = 0
    counted_ns: int = 0  # minimum of the passed time, by the monotonic clock, agreed or not
    agreed: bool = False
    excess_ns: int = 0  # excess of `now_ns` over the time counted from `base_ns`; part of `unexplained_ns`
    unexplained_ns: int = 0  # unconfirmed time accepted since two vault officers confirmed the time
    waiting_ns: int = 0  # the agreed clock's lead over the explained time; 0: none
    behind_ns: int = 0
    name: str = ""
    elapsed_ns: int = 0
    seen_mono_ns: int | None = None  # `elapsed_ns` is counted up to here in this boot; None: not begun
    since_ns: int | None = None  # UTC when `elapsed_ns` was 0; None: unknown
    confirmed: Confirmed | None = None
    credits: list[Credit] = []
    synced: bool = False  # the machine's clock, at the last sample
    dated: bool = False  # confirmed in this boot, by an agreed clock or a signed answer
    dating: int = 0  # grows when the date is confirmed or set back, after which earlier datings may be wrong
    boot_elapsed_ns: int = 0  # at the beginning of this boot
    anchors: list[Anchor] = []  # the newest MOST_ANCHORS, one a boot

    def forget_date(self) -> None:
        """Discards the date, which was certainly wrong. Counted time stays."""
        self.now_ns = self.confirmed = None
        self.base_ns = self.counted_ns = self.excess_ns = self.unexplained_ns = 0
        self.agreed = self.dated = False
        self.dating, self.anchors, self.since_ns = self.dating + 1, [], None
        self.boot = ""  # the boot's base used the discarded date


class RetentionClock:
    def __init__(self, memory: Memory, largest_gap_ns: int) -> None:
        self.memory = memory
        self._largest_gap_ns = largest_gap_ns

    def see(self, sample: Sample) -> None:
        """Adds a sample, once a tick, agreed or not: counting begins at the first sample of a boot."""
        self._meet(sample)
        memory = self.memory
        memory.synced = sample.synced
        counted = memory.counted_ns = self._counted(sample)
        ahead = sample.utc_ns - counted
        is_behind = ahead < -TOLERANCE_NS - self._drift(sample)
        memory.behind_ns = -ahead if is_behind else 0  # certainly wrong, synchronised or not
        if not sample.synced:
            return
        if memory.now_ns is None:
            self._rebase(sample.utc_ns, sample, agreed=True)
            return
        memory.waiting_ns = 0
        if ahead > self._plausible(sample):
            memory.waiting_ns = ahead
        elif not is_behind:
            reached = counted + self._accept_lead(ahead)
            if not memory.agreed:
                self._rebase(max(min(sample.utc_ns, reached), memory.now_ns), sample, agreed=True)
            memory.now_ns = max(memory.now_ns, min(sample.utc_ns, reached))
            return
        memory.now_ns = max(memory.now_ns, counted)

    def answer(self, utc_ns: int, asked_mono_ns: int, sample: Sample, confirms: bool) -> str | None:
        """Applies a signed time, the answer to a request in this boot; `confirms`: signed by two vault officers.

        Returns None if accepted, else the reason: `time_ahead` (two officers must confirm it) or `time_back`. The time
        is at least `utc_ns` now, and later by at most the time since the request.
        """
        self._meet(sample)
        memory = self.memory
        latest = utc_ns + sample.mono_ns - asked_mono_ns
        kernels = (
            sample.synced and -TOLERANCE_NS <= sample.utc_ns - utc_ns <= min(latest - utc_ns, FRESH_NS) + TOLERANCE_NS
        )
        claimed_ns = sample.utc_ns if kernels else utc_ns
        if confirms:
            return self._confirm(claimed_ns, latest, sample, kernels)
        if memory.now_ns is not None:
            counted = self._counted(sample)
            if latest < counted - TOLERANCE_NS - self._drift(sample):
                return "time_back"
            if claimed_ns > counted + self._plausible(sample):
                memory.waiting_ns = claimed_ns - counted
                return "time_ahead"
            claimed_ns = max(min(claimed_ns, counted + self._accept_lead(claimed_ns - counted)), counted, memory.now_ns)
        self._rebase(claimed_ns, sample, agreed=kernels, unsure_ns=0 if kernels else latest - utc_ns)
        memory.waiting_ns = memory.behind_ns = 0
        return None

    @property
    def is_dated(self) -> bool:
        """Whether the date was confirmed in this boot and no trusted clock contradicts it: calls get their end date."""
        memory = self.memory
        return memory.dated and not memory.waiting_ns and not (memory.behind_ns and memory.synced)

    @property
    def date_ns(self) -> int:
        """The date at the last sample, agreed at that moment or not. Only valid if `is_dated`."""
        memory = self.memory
        since_ns = 0 if memory.seen_mono_ns is None else memory.seen_mono_ns - memory.base_mono_ns
        return max(memory.now_ns or 0, memory.base_ns + since_ns)

    def span(self, moment: CountedMoment | None) -> Span | None:
        """Returns the time of `moment`; None while the date is unknown. Another memory's moment precedes this memory.

        Uncounted time makes a moment earlier than it seems, never later, so `latest_ns` is certain.
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
        """Returns the moment at `mono_ns`, or a later one, for a thread other than the counting thread."""
        memory = self.memory
        seen_ns = memory.seen_mono_ns  # read before `elapsed_ns`: the reverse order could give too early a moment
        elapsed_ns = memory.elapsed_ns + max(0, mono_ns - (mono_ns if seen_ns is None else seen_ns))
        return CountedMoment(memory=memory.name, boot=memory.boots, ms=-(-elapsed_ns // NS_PER_MS))

    def moment(self, sample: Sample) -> CountedMoment:
        """Returns the present moment for a record; rounded up, so that no call seems older than it is."""
        self._meet(sample)
        memory = self.memory
        return CountedMoment(memory=memory.name, boot=memory.boots, ms=-(-memory.elapsed_ns // NS_PER_MS))

    def age_ns(self, moment: CountedMoment | None, at_ns: int | None) -> int:
        """Returns the time that has certainly passed since `moment`.

        `moment` None: sealed by an older version, at `at_ns` if its clock was synchronised, else None. A moment of
        another memory is only known to precede this memory.
        """
        memory = self.memory
        boot = start_ns = 0
        if moment is not None and moment.memory == memory.name:
            boot, start_ns = moment.boot, moment.ms * NS_PER_MS
        elif moment is None and at_ns is not None and memory.since_ns is not None:
            start_ns = min(0, at_ns - memory.since_ns)  # certainly before the start, despite the clock
        return memory.elapsed_ns - start_ns + sum(credit.ns for credit in memory.credits if boot <= credit.boot)

    def _confirm(self, claimed_ns: int, latest: int, sample: Sample, kernels: bool) -> str | None:
        """Applies a time of two officers, who may correct unconfirmed time, also backwards: one key or one server had
        changed it.

        Earlier confirmed time stays, and so does the time elapsed since.
        """
        memory, first_ns = self.memory, claimed_ns
        before = memory.confirmed
        if before is not None:
            sure = before.utc_ns + memory.elapsed_ns - before.elapsed_ns
            if latest < sure - TOLERANCE_NS - (memory.elapsed_ns - before.elapsed_ns) * DRIFT_PPM // 1_000_000:
                return "time_back"
            claimed_ns = max(claimed_ns, min(sure, latest))
            if claimed_ns > sure and memory.boots > before.boot:  # only explained by time without power
                memory.credits = [*memory.credits, Credit(before.boot, claimed_ns - sure)][-MOST_CREDITS:]
        if memory.now_ns is not None and not kernels:  # counted time, as far as the answer allows
            claimed_ns = max(claimed_ns, min(self._counted(sample), latest))
        if memory.now_ns is not None and claimed_ns < memory.now_ns - TOLERANCE_NS:  # later datings were wrong
            memory.anchors = [
                each for each in memory.anchors if before is not None and each.elapsed_ns <= before.elapsed_ns
            ]
        self._rebase(claimed_ns, sample, agreed=kernels, unsure_ns=0 if kernels else max(0, latest - first_ns))
        memory.unexplained_ns = memory.waiting_ns = memory.behind_ns = 0
        memory.confirmed = Confirmed(claimed_ns, memory.elapsed_ns, memory.boots)
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

    def _accept_lead(self, ahead_ns: int) -> int:
        """Returns the accepted part of `ahead_ns` beyond counted time; new excess uses up the allowance."""
        memory = self.memory
        more = min(max(0, ahead_ns - memory.excess_ns), self._allowance_left_ns())
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
        """Returns the time by the monotonic clock."""
        return self.memory.base_ns + sample.mono_ns - self.memory.base_mono_ns

    def _allowance_left_ns(self) -> int:
        return max(0, self._largest_gap_ns - self.memory.unexplained_ns)

    def _plausible(self, sample: Sample) -> int:
        """Returns the lead over counted time up to which a clock counts as right.

        `_accept_lead` decides how much of it is used.
        """
        return TOLERANCE_NS + self._drift(sample) + (0 if self.memory.agreed else self._allowance_left_ns())

    def _drift(self, sample: Sample) -> int:
        return (sample.mono_ns - self.memory.base_mono_ns) * DRIFT_PPM // 1_000_000
