# SPDX-License-Identifier: Apache-2.0
"""Detects the ringback of a call, of any exchange or PBX: its bursts, its period, and the burst that is missing.

A tone that stops and returns is followed in its own frequencies alone. Talk over a burst only adds power, so neither
colleagues nor a cough hide a burst. Talk in a pause may be as loud as a burst, but is shorter. The profile's ringback
is known after its first burst, any other after its second.
"""

from __future__ import annotations

import msgspec

from linetap.config.numbers import AnswerNumbers, ToneShape
from linetap.recorder.calls.evidence.windows import (
    BIN_HZ,
    HALF,
    Burst,
    Missing,
    Run,
    Window,
    fits,
    goes_on,
    level_in_bins,
    lines_of,
    widened,
)
from linetap.ring import RATE_HZ

_PER_MS = RATE_HZ // 1000
_VOWEL = 3  # windows
_HISTORY = 8  # bursts kept
_BEFORE = 4  # kept levels of windows before a burst: more than 80 ms


class Bursts(msgspec.Struct):
    """State only. `lines`: those of the tone being followed; empty: no tone yet."""

    lines: list[int] = []
    level: float = 0.0
    prior: tuple[int, ...] = ()  # its cadence in the profile, in ms
    run: Run | None = None  # the tone being followed
    fresh: Run | None = None  # another tone, which may replace the followed one
    covered: list[Run | None] = []  # for each ringback of the profile: its run under other sounds
    covered_before: list[float] = []  # level in its lines one window before, dBm0
    current: list[Burst] = []  # bursts of the current group
    pattern: list[Burst] = []  # bursts of the complete group before
    period: int = 0  # frames
    groups: int = 0
    cut_at: int | None = None  # the frame at which the last burst ended too early
    other_at: int | None = None  # start of another tone since the last burst
    busy: bool = False  # too fast to be ringback
    stood: bool = False  # a burst had silence before and after it, so it is no note of a song
    before: list[float] = []  # levels of the last windows, dBm0

    @property
    def rings(self) -> bool:
        """Whether this is ringback with a predictable next burst."""
        known = bool(self.prior) or (self.period > 0 and self.stood)
        return not self.busy and bool(self.current) and known

    @property
    def last_end(self) -> int | None:
        """The end of the last burst; None: there was none."""
        return self.current[-1].end if self.current else None

    def follows(self, name: str, shapes: tuple[ToneShape, ...], numbers: AnswerNumbers) -> bool:
        """Whether the tone being followed has this name, even if it was short."""
        return any(shape.name == name and fits(self.lines, shape.hz, numbers) for shape in shapes)

    def may_ring(self, numbers: AnswerNumbers) -> bool:
        """Whether the tone is low enough for ringback: a beep or a part of an information tone is higher."""
        return bool(self.lines) and self.lines[-1] * BIN_HZ < numbers.beep_hz

    def first_burst_end(self, numbers: AnswerNumbers) -> int | None:
        """The end of a tone that may have been the first ring of an unknown ringback; None: there was none."""
        if not self.current or self.busy or self.rings or self.run is not None or not self.stood:
            return None
        longest = max(burst.end - burst.start for burst in self.current)
        return self.current[-1].end if longest >= numbers.ring_burst_min_ms * _PER_MS else None

    def had_tone_within(self, now: int, within: int) -> bool:
        """Whether a tone is on or ended less than `within` frames ago: it may be a busy tone."""
        begun = [run.start for run in (self.run, self.fresh) if run is not None]
        begun += [] if self.last_end is None else [self.last_end]
        return any(now - at < within for at in begun)

    @property
    def pause(self) -> int:
        """Frames between two rings; 0: not known."""
        if not self.rings or not self.current:
            return 0
        pause = self._next_burst_frame() - self.current[-1].end
        if self.prior:  # the profile is more exact: talk over a burst's edge makes the pause seem longer
            pause = min(pause, self.prior[1] * _PER_MS)
        if not self.pattern or len(self.current) < len(self.pattern):
            return pause
        return min(pause, self.period - (self.pattern[-1].end - self.pattern[0].start))  # a burst may be detected late

    @property
    def in_tone(self) -> bool:
        """Whether a tone is on now that lasts longer than a vowel, which may resemble one."""
        return self.run is not None or (self.fresh is not None and self.fresh.windows > _VOWEL)

    @property
    def sounds(self) -> bool:
        """Whether a burst may be on now."""
        return self.run is not None

    def follow(self, window: Window, shapes: tuple[ToneShape, ...], numbers: AnswerNumbers) -> None:
        if self.lines:
            self._follow_known(window, numbers)
        self._follow_fresh(window, shapes, numbers)
        if not self.lines:
            self._follow_covered(window, shapes, numbers)
        self.before = [*self.before, window.dbm0][-_BEFORE:]

    def missing(self, now: int, numbers: AnswerNumbers) -> Missing | None:
        """The burst that is missing or was cut off, once that is certain at `now`."""
        if not self.rings or self.run is not None:
            return None
        last = self.current[-1]
        if self.cut_at is not None:
            sure = now >= self.cut_at + numbers.cut_sure_ms * _PER_MS
            return Missing("burst_cut", last.start, self.cut_at) if sure else None
        due = self._next_burst_frame()
        return Missing("burst_missing", last.end, due) if now >= due + numbers.late_ms * _PER_MS else None

    def missing_second(self, now: int, numbers: AnswerNumbers) -> Missing | None:
        """The missing second burst of an unknown tone, after a pause longer than that of any ringback."""
        if self.busy or self.rings or self.run is not None or len(self.current) != 1 or not self.may_ring(numbers):
            return None
        due = self.current[0].end + round(numbers.lone_burst_s * RATE_HZ)
        length_ms = (self.current[0].end - self.current[0].start) // _PER_MS
        whole = numbers.ring_burst_min_ms <= length_ms <= numbers.ring_period_ms[0] * 2
        return Missing("burst_missing", self.current[0].end, due) if whole and now >= due else None

    def forget(self) -> None:
        """Discards the ringing, which is over; a later burst would show that it continues."""
        self.current, self.run, self.cut_at, self.other_at = [], None, None, None

    def _next_burst_frame(self) -> int:
        """The frame at which the next burst must begin."""
        at = len(self.current)
        if self.pattern and at < len(self.pattern):
            return self.current[0].start + self.pattern[at].start - self.pattern[0].start
        if self.period:
            return self.current[0].start + self.period
        return self.current[-1].end + self.prior[1] * _PER_MS

    def _length(self) -> int:
        """The expected length of the next burst in frames; 0: not known."""
        at = len(self.current)
        if self.pattern:
            of = self.pattern[at % len(self.pattern)]
            # The ring that has just ended counts too: talk may have lengthened the ring before.
            now = self.current[0] if at == len(self.pattern) and self.groups > 1 else of
            return min(of.end - of.start, now.end - now.start)
        if self.prior:
            return self.prior[0] * _PER_MS
        return max((each.end - each.start for each in self.current), default=0) if self.groups == 1 else 0

    def _follow_known(self, window: Window, numbers: AnswerNumbers) -> None:
        there = level_in_bins(window, widened(self.lines))
        run = self.run
        if there >= self.level - numbers.present_db:
            if run is None:
                run = self.run = Run(window.at, window.at, there, self.lines, pure=0, windows=0)
                run.from_quiet = self._was_quiet(there, numbers)
            run.last, run.missed, run.to_quiet = window.at, 0, False
            run.windows += 1
            if window.lines:
                run.pure += 1
                run.dbm0 += (there - run.dbm0) / run.pure
        elif run is not None:
            run.missed += 1
            run.to_quiet |= window.dbm0 <= self.level - numbers.stands_db
            if run.missed * HALF >= numbers.absent_ms * _PER_MS:
                self.run = None
                self._close(Burst(run.start, run.last), run, numbers)

    def _close(self, burst: Burst, run: Run, numbers: AnswerNumbers) -> None:
        length, expected = burst.end - burst.start, self._length()
        least = numbers.burst_min_ms * _PER_MS  # the first one may be incomplete
        apart = burst.start - self.current[-1].end if self.current else 0
        new_group = apart > numbers.group_gap_ms * _PER_MS
        if expected and self.groups and (new_group or self.pattern):
            least = max(least, round(expected * numbers.whole_share))
        if self.rings:
            on_time = abs(burst.start - self._next_burst_frame()) <= numbers.late_ms * _PER_MS
        else:  # the second ring of an unknown tone is as long as the first, or cut off
            least = numbers.burst_min_ms * _PER_MS
            alike = abs(run.dbm0 - self.level) <= numbers.steady_db and run.pure * 10 >= run.windows * 8
            on_time = alike and new_group and len(self.current) == 1
        short = bool(expected) and bool(self.groups) and length < expected - numbers.short_ms * _PER_MS
        seen = numbers.burst_min_ms * _PER_MS
        pure = run.pure * 2 >= run.windows
        covered = length >= least and length >= numbers.covered_ms * _PER_MS
        if not covered and not (pure and (length >= least or (on_time and short and length >= seen))):
            return
        if self._rang_whole(burst, numbers):
            return  # a voice after the only burst of a ring
        self.stood |= run.from_quiet and run.to_quiet
        if not self.groups and self.prior and length > self.prior[0] * _PER_MS * (1 + numbers.length_tolerance):
            self.prior = ()  # these frequencies with another cadence
        if pure:
            self.level += (run.dbm0 - self.level) / 2
        longer = length - expected
        if expected and self.groups and longer > numbers.short_ms * _PER_MS:
            # Talk before or after the burst lengthened it. "Before" is assumed: the next burst is then expected later.
            burst = Burst(burst.start + min(longer, numbers.longer_max_ms * _PER_MS), burst.end)
        self._add_burst(burst, numbers)
        self.cut_at = burst.end if short and on_time else None
        self.other_at = None

    def _rang_whole(self, burst: Burst, numbers: AnswerNumbers) -> bool:
        """Whether the profile's ringback has rung its full length, and `burst` is too early to be the next ring."""
        if not self.prior or len(self.current) != 1:
            return False
        near = burst.start - self.current[0].end <= numbers.group_gap_ms * _PER_MS
        length_ms = (self.current[0].end - self.current[0].start) / _PER_MS
        return near and abs(length_ms - self.prior[0]) <= self.prior[0] * numbers.length_tolerance

    def _add_burst(self, burst: Burst, numbers: AnswerNumbers) -> None:
        if self.current and burst.start - self.current[-1].end <= numbers.group_gap_ms * _PER_MS:
            self.current = [*self.current, burst][-_HISTORY:]
            self.prior = () if self.groups == 1 else self.prior  # two bursts in a ring: not the profile's cadence
            self.busy = self.busy or len(self.current) >= numbers.busy_bursts
            return
        if self.current:
            self._end_group(burst, numbers)
        self.current, self.groups, self.busy = [burst], self.groups + 1, False

    def _end_group(self, burst: Burst, numbers: AnswerNumbers) -> None:
        """Completes the current group. The first group may be incomplete; the next one gives the length."""
        whole = self.current
        low, high = (ms * _PER_MS for ms in numbers.ring_period_ms)
        period = burst.start - whole[0].start
        longest = max(each.end - each.start for each in whole)
        if self.groups == 1 and self.prior:
            # The first burst may be incomplete: its start proves nothing.
            period = max(period, burst.start - whole[-1].end + self.prior[0] * _PER_MS)
        if self.groups == 1 and self.prior:
            usual = sum(self.prior) * _PER_MS
            off = abs(period - usual) - numbers.late_ms * _PER_MS
            self.prior = self.prior if off <= usual * numbers.length_tolerance else ()
        ring = low <= period <= high and longest >= numbers.ring_burst_min_ms * _PER_MS and len(whole) <= 3
        self.pattern = self._shortest(whole) if ring else []
        if self.groups > 1 and abs(period - self.period) <= numbers.late_ms * _PER_MS:
            period = round((2 * self.period + period) / 3)  # talk may move the edge of one burst
        self.period = period if ring else 0

    def _shortest(self, whole: list[Burst]) -> list[Burst]:
        """The bursts, each with its shortest complete length: talk over its edges only lengthens a burst."""
        if self.groups < 3 or len(self.pattern) != len(whole):  # the first may be incomplete
            return whole
        before = [each.end - each.start for each in self.pattern]
        return [Burst(b.start, min(b.end, b.start + length)) for b, length in zip(whole, before, strict=True)]

    def _follow_fresh(self, window: Window, shapes: tuple[ToneShape, ...], numbers: AnswerNumbers) -> None:
        """Follows another tone, which replaces the current tone unless that is known to be ringback."""
        run = self.fresh
        if not window.lines or (self.lines and self._is_followed(window)):
            if run is not None:
                run.missed += 1
                if run.missed * HALF >= numbers.absent_ms * _PER_MS:
                    self.fresh = None
            return
        if run is None or not goes_on(run, window, numbers):
            there = level_in_bins(window, widened(list(window.lines)))
            quiet = self._was_quiet(there, numbers)
            self.fresh = Run(window.at, window.at, there, list(window.lines), from_quiet=quiet)
            return
        run.last, run.missed = window.at, 0
        run.windows += 1
        run.dbm0 += (window.dbm0 - run.dbm0) / run.windows
        run.lines = sorted({*run.lines, *window.lines})
        if len(run.lines) > numbers.lines_max:
            self.fresh = None
        elif (run.last - run.start) >= numbers.burst_min_ms * _PER_MS:
            if self.rings:
                self.other_at = run.start if self.other_at is None else self.other_at
            else:
                self._begin(run, shapes, numbers)

    def _was_quiet(self, level: float, numbers: AnswerNumbers) -> bool:
        return min(self.before, default=level) <= level - numbers.stands_db

    def _is_followed(self, window: Window) -> bool:
        near = set(widened(self.lines))
        return sum(line in near for line in window.lines) * 2 > len(window.lines)

    def _follow_covered(self, window: Window, shapes: tuple[ToneShape, ...], numbers: AnswerNumbers) -> None:
        """Finds a ringback of the profile, which is steady, under constant talk."""
        known = [shape for shape in shapes if _is_ringback(shape)]
        before = self.covered_before if len(self.covered_before) == len(known) else [0.0 for _ in known]
        runs: list[Run | None] = self.covered if len(self.covered) == len(known) else [None for _ in known]
        for place, shape in enumerate(known):
            run, lines = runs[place], lines_of(shape.hz)
            there = level_in_bins(window, widened(lines))
            if there < numbers.tone_min_dbm0 or (run is not None and abs(there - run.dbm0) > numbers.covered_db):
                run = None
            begins = there >= max(numbers.tone_min_dbm0, before[place] + numbers.covered_rise_db)
            before[place] = there
            if run is None and begins:
                run = Run(window.at, window.at, there, lines)
            elif run is not None:
                run.last, run.windows = window.at, run.windows + 1
                run.dbm0 += (there - run.dbm0) / run.windows
                if run.last - run.start >= numbers.covered_ms * _PER_MS:
                    self._begin(run, shapes, numbers)
                    self.prior, run = shape.cadence_ms, None
            runs[place] = run
        self.covered, self.covered_before = runs, before

    def _begin(self, run: Run, shapes: tuple[ToneShape, ...], numbers: AnswerNumbers) -> None:
        """Follows this tone from now on."""
        self.lines, self.level, self.fresh = run.lines, run.dbm0, None
        self.run = run
        run.pure = run.windows
        ringback = (shape for shape in shapes if _is_ringback(shape))
        self.prior = next((shape.cadence_ms for shape in ringback if fits(run.lines, shape.hz, numbers)), ())
        self.current, self.pattern, self.period, self.groups, self.cut_at = [], [], 0, 0, None
        self.stood = False


def _is_ringback(shape: ToneShape) -> bool:
    return shape.name == "ringback" and len(shape.cadence_ms) == 2
