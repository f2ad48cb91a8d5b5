# SPDX-License-Identifier: Apache-2.0
"""Finds runs of one steady tone of any pitch on a line, and classifies their sequence.

Three runs of rising pitch are a special information tone (ITU-T E.180/Q.35). Pitches that keep changing are a melody.
Regular bursts of one pitch are a cadence, such as the ringback or busy tone of a PBX. Once a cadence's period is known,
a missing or shortened burst means that the cadence is over.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import msgspec

from linetap.config.numbers import SoundNumbers
from linetap.recorder.signals.events import SoundName
from linetap.recorder.signals.sound.windows import BIN_HZ, LOW, SIZE
from linetap.ring import RATE_HZ

_MOST_HEARD = 8
_MOST_BURSTS = 3  # in a period, such as three short rings
_MOST_RUNS = 6


class Burst(msgspec.Struct):
    """One burst of a tone."""

    start: int
    end: int
    bins: float
    level_dbm0: float

    @property
    def frames(self) -> int:
        return self.end - self.start


class Cadence:
    """An unknown cadence on one line. Times are frames."""

    def __init__(self, numbers: SoundNumbers) -> None:
        self._numbers = numbers
        self._bursts: list[Burst] = []
        self.period = 0
        self.on = 0  # length of the next burst
        self.due = 0  # start of the next burst

    def begins(self, start: int, bins: float, level_dbm0: float) -> bool:
        """Adds the start of a burst; returns whether the burst belongs to a known cadence."""
        if self._bursts and abs(self._bursts[-1].bins - bins) > self._numbers.run_bins:
            self.forget()
        self._bursts = [*self._bursts, Burst(start, start, bins, level_dbm0)][-_MOST_HEARD:]
        self.period = self._find()
        if self.period:
            self._expect(start)
        return self.period > 0

    def ends(self, end: int, into_quiet: bool) -> bool:
        """Adds the end of a burst; returns whether it was cut short, by an answer or a hang-up within the burst."""
        if not self._bursts:
            return False
        burst = self._bursts[-1]
        burst.end = end
        return self.period > 0 and into_quiet and burst.frames < self._usual(burst) - self._slack(self.period)

    def missed(self, until: int) -> bool:
        """Whether the burst that was due is missing."""
        return self.period > 0 and until > self.due + self._slack(self.period)

    def forget(self) -> None:
        self._bursts, self.period = [], 0

    @property
    def last(self) -> Burst:
        return self._bursts[-1]

    def _find(self) -> int:
        """The period of the bursts so far; 0: none."""
        gaps = [after.start - before.start for before, after in pairwise(self._bursts)]
        numbers = self._numbers
        low, lone, high = map(_frames, (numbers.period_min_ms, numbers.lone_period_ms, numbers.period_max_ms))
        for bursts in range(1, _MOST_BURSTS + 1):
            period = sum(gaps[-bursts:])
            pairs = list(zip(reversed(gaps[-bursts:]), reversed(gaps[:-bursts]), strict=False))
            if low <= period <= high and pairs and all(abs(a - b) <= self._slack(period) for a, b in pairs):
                return period
        return gaps[0] if len(gaps) == 1 and lone <= gaps[0] <= high else 0

    def _usual(self, burst: Burst) -> int:
        """The length of the burst one period before."""
        for each in self._bursts[:-1]:
            if abs(burst.start - each.start - self.period) <= self._slack(self.period):
                return each.frames
        return 0

    def _expect(self, start: int) -> None:
        due = [burst for burst in self._bursts if start - self.period + self._slack(self.period) < burst.start]
        following = min(due, key=lambda burst: burst.start)
        self.due = following.start + self.period
        self.on = self._usual(self._bursts[-1])

    def _slack(self, period: int) -> int:
        return round(period * self._numbers.period_tolerance) + _frames(self._numbers.edge_ms)


def _frames(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)


class Run(msgspec.Struct):
    """One steady tone."""

    start: int
    end: int
    bins: float  # centre of the tone above LOW; of a pair, between the two tones
    windows: int
    level_dbm0: float
    from_quiet: bool  # the tone began in silence: a burst

    @property
    def hz(self) -> float:
        return (self.bins + LOW) * BIN_HZ

    @property
    def frames(self) -> int:
        return self.end - self.start


class RunEvent(NamedTuple):
    """A sound event of one line."""

    sound: SoundName
    at: int
    level_dbm0: float = 0.0
    period: int = 0
    on: int = 0


class RunLine:
    """The runs of one line."""

    def __init__(self, numbers: SoundNumbers) -> None:
        self._numbers = numbers
        self._shortest, self._surely, self._tune = map(
            _frames, (numbers.run_min_ms, numbers.sit_min_ms, numbers.melody_ms)
        )
        self._open: Run | None = None
        self._runs: list[Run] = []
        self._cadence = Cadence(numbers)
        self._certain = False  # the open run is longer than any vowel
        self._ended: Run | None = None  # a burst that ended in the window before
        self._quiet = 2  # windows without sound before this one

    @property
    def busy(self) -> bool:
        """Whether a run is open, or a burst is awaited."""
        return self._open is not None or self._ended is not None or self._cadence.period > 0

    @property
    def tone(self) -> Run | None:
        """The steady tone on the line now, if there is one."""
        return self._open

    def melody(self, since: int) -> bool:
        """Whether pitches change more often than any tone of an exchange."""
        runs = [run for run in (*self._runs, *([self._open] if self._open else ())) if run.end > since]
        changes = sum(abs(a.bins - b.bins) > 2 * self._numbers.run_bins for a, b in pairwise(runs))
        return bool(changes >= self._numbers.melody_changes)

    def window(self, frame: int, loud: bool, steady: bool, centre: float, level_dbm0: float) -> list[RunEvent]:
        """Adds the window that begins at `frame`. `steady`: it contains a tone and is like the window before."""
        events: list[RunEvent] = []
        run = self._open
        if run is not None and not (steady and abs(centre - run.bins) <= self._numbers.run_bins):
            self._close(run)
            run = None
        elif self._ended is not None:
            # The window with the burst's edge is over.
            ended, self._ended = self._ended, None
            if self._cadence.ends(ended.end, not loud):
                events.append(self._end_cadence())
        if steady and run is None:
            # A steady window is like the window before, the run's first; the run's edge is in the window before that.
            self._open = run = Run(frame - SIZE, frame + SIZE, centre, 2, level_dbm0, self._quiet > 0)
            self._certain = False
        elif run is not None:
            run.end, run.windows = frame + SIZE, run.windows + 1
            run.level_dbm0 += (level_dbm0 - run.level_dbm0) / min(run.windows, 8)
            run.bins += (centre - run.bins) / min(run.windows, 8)
        if run is not None and not self._certain and run.frames >= self._surely:
            self._certain = True
            events += self._sure(run)
        if run is None and self._cadence.missed(frame + SIZE):
            events.append(self._end_cadence())
        # A run is recognised two windows after its edge, so silence counts for two windows more.
        self._quiet = 3 if not loud else max(self._quiet - 1, 0)
        return events

    def _close(self, run: Run) -> None:
        self._open = None
        if run.frames >= self._shortest:
            self._runs = [*self._runs, run][-_MOST_RUNS:]
            if self._certain and run.from_quiet:
                self._ended = run

    def _sure(self, run: Run) -> list[RunEvent]:
        """The events of a run that is longer than any vowel."""
        if (sit := self._sit([*self._runs, run])) is not None:
            return [sit]
        if not run.from_quiet or self.melody(run.end - self._tune):
            return []
        before = self._cadence.period
        if self._cadence.begins(run.start, run.bins, run.level_dbm0):
            return [RunEvent("cadence", run.start, run.level_dbm0, self._cadence.period, self._cadence.on)]
        return [RunEvent("cadence_over", run.start, run.level_dbm0, before)] if before else []

    def _sit(self, runs: list[Run]) -> RunEvent | None:
        """The special information tone, or two of its three tones.

        A lost packet splits or removes a tone, and the first tone may precede the audio. Two tones may be a chime: the
        next sound decides.
        """
        numbers = self._numbers
        tones = self._joined_runs(runs)[-len(numbers.sit_hz) :]
        places = [self._place(tone) for tone in tones]
        gap, lost, high = map(_frames, (numbers.sit_gap_ms, numbers.sit_lost_ms, numbers.sit_max_ms))
        apart = [after.start - before.end for before, after in pairwise(tones)]
        if places == [0, 1, 2] and max(apart) <= gap and all(tone.frames >= self._surely for tone in tones):
            return RunEvent("sit", tones[0].start, tones[0].level_dbm0)
        if len(tones) < 2 or None in places[-2:] or any(tone.frames > high for tone in tones[-2:]):
            return None
        alone = len(tones) < 3 or apart[-2] > gap + high  # no chime or tune before the tones
        first, second = tones[-2:]
        near = apart[-1] <= gap or (places[-2:] == [0, 2] and apart[-1] <= lost)
        if alone and near and (places[-2] or 0) < (places[-1] or 0):
            return RunEvent("sit_part", first.start, second.level_dbm0)
        return None

    def _joined_runs(self, runs: list[Run]) -> list[Run]:
        """The runs; those of one pitch are joined over a short break."""
        joined: list[Run] = []
        for run in runs:
            before = joined[-1] if joined else None
            near = before is not None and run.start - before.end <= _frames(self._numbers.sit_gap_ms)
            if before is not None and near and abs(run.bins - before.bins) <= self._numbers.run_bins:
                joined[-1] = msgspec.structs.replace(before, end=run.end)
            else:
                joined.append(run)
        return joined

    def _place(self, tone: Run) -> int | None:
        """The tone's place among the three tones; None: it is another tone."""
        off = [abs(tone.hz - hz) for hz in self._numbers.sit_hz]
        place = off.index(min(off))
        fits = off[place] <= self._numbers.sit_tolerance_hz and tone.frames <= _frames(self._numbers.sit_max_ms)
        return place if fits else None

    def _end_cadence(self) -> RunEvent:
        last, period = self._cadence.last, self._cadence.period
        events = RunEvent("cadence_over", last.end, last.level_dbm0, period, last.frames)
        self._cadence.forget()
        return events
