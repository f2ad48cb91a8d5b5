# SPDX-License-Identifier: Apache-2.0
"""Identifies the tones of one line by the lengths of their bursts and pauses.

All tones of the profile are followed at once; lengths distinguish tones of the same frequencies. Several tones may
share a name, such as a PBX's ringback and the exchange's, and are reported by that name. Times are frames. The caller
sets `known` of the events to the frame up to which audio is analysed.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from linetap.config.numbers import CadenceNumbers, ToneShape
from linetap.ring import RATE_HZ

NEVER = 1 << 62


class ToneChange(NamedTuple):
    """A change of `tone`, and its frame."""

    what: str  # "heard", "gone", "maybe", "no_fax", "fax"
    tone: str
    at: int


class Plan(NamedTuple):
    """The plan of all lines of a profile: `codes` of the shapes, codes of fax tones with their names and lengths."""

    shapes: tuple[ToneShape, ...]
    codes: tuple[int, ...]
    fax: dict[int, tuple[str, int]]
    numbers: CadenceNumbers

    def fits(self, shape: ToneShape, element: int, frames: int) -> bool:
        low, high = self.bounds(shape, element)
        return low <= frames <= high

    def bounds(self, shape: ToneShape, element: int) -> tuple[int, int]:
        nominal_ms = shape.cadence_ms[element % len(shape.cadence_ms)]
        reach_ms = nominal_ms * self.numbers.tolerance + self.numbers.slack_ms
        return _frames(nominal_ms - reach_ms), _frames(nominal_ms + reach_ms)


class Fit(msgspec.Struct):
    """The fit of one shape so far: the number of consecutive elements, the first frame of the first element, and the
    first frame of the current period."""

    elements: int = 0
    since: int = 0
    period_since: int = 0


class ToneLine(msgspec.Struct):
    """The tones of one line."""

    fits: list[Fit]
    code: int = 0  # code of the stretch that is on, or that ended less than a bridge ago
    start: int = 0
    end: int | None = None  # end of that stretch, which may still be bridged
    certain: bool = False  # that stretch is longer than the shortest burst
    reported: bool = False  # continuous and fax tones: already reported
    doubt: bool = False  # a possible fax was reported, and neither confirmed nor withdrawn
    last_code: int = 0
    last_end: int | None = None  # end of the burst before
    sounding: int | None = None  # place of the shape that is on
    sounding_end: int = 0  # its last frame so far
    gone_at: int = NEVER  # the frame by which its next element must have come
    due: int = NEVER  # the next frame at which elapsed time alone changes the state

    def turn(self, code: int, ended: int, began: int, plan: Plan) -> list[ToneChange]:
        """Ends the previous stretch; from `began` on the line carries `code` (0: none of the tones)."""
        changes = self.wait(began if code else ended, plan)
        if code == self.code and self.end is not None:
            self.end = None  # a dropout, not an edge
        elif code != self.code:
            if self.code and self.end is None:
                self.end = ended
            if code:
                if self.code:
                    self._close(plan, changes)
                self.code, self.start, self.end, self.certain, self.reported = code, began, None, False, False
        self._decide(plan)
        return changes

    def wait(self, until: int, plan: Plan) -> list[ToneChange]:
        """Advances to `until`; the line's code did not change."""
        changes: list[ToneChange] = []
        while self.due <= until:
            now = self.due
            if self.code and self.end is not None and now >= self.end + _frames(plan.numbers.bridge_ms):
                self._close(plan, changes)
            elif self.code and self.end is None:
                self._lasts(now, plan, changes)
            elif self.doubt:
                self._no_fax(now, changes)
            if now >= self.gone_at:
                self._end_tone(plan, changes)
            self._decide(plan)
        return changes

    def suspect(self, plan: Plan) -> list[ToneChange]:
        """Reports a possible fax whose tone has filled several windows without a break."""
        if self.code not in plan.fax or self.end is not None or self.reported or self.doubt:
            return []
        self.doubt = True
        return [ToneChange("maybe", plan.fax[self.code][0], self.start)]

    def voice(self, plan: Plan) -> list[ToneChange]:
        """Ends a tone that is in its pause: a voice was detected."""
        changes: list[ToneChange] = []
        if self.sounding is not None and (self.code == 0 or self.end is not None):
            self._end_tone(plan, changes)
            self._decide(plan)
        return changes

    def reset_at_gap(self) -> None:
        """Discards a partial burst and all counts at a gap. A tone that was on may continue."""
        self.code, self.end, self.last_end, self.last_code = 0, None, None, 0
        self.fits = [Fit() for _ in self.fits]
        self.due = NEVER

    def resume(self, frame: int, plan: Plan) -> None:
        """Continues after a gap: a tone that was on before must show one whole cadence."""
        self.start = frame
        if self.sounding is not None:
            shape = plan.shapes[self.sounding]
            longest_ms = sum(shape.cadence_ms) * max(1, -(-shape.known_after // max(1, len(shape.cadence_ms))))
            self.gone_at = frame + _frames((longest_ms + plan.numbers.dial_min_ms) * (1 + plan.numbers.tolerance))
        self._decide(plan)

    def _lasts(self, now: int, plan: Plan, changes: list[ToneChange]) -> None:
        """Applies the lengths that the present stretch has reached."""
        length = now - self.start
        if not self.certain and length >= _frames(plan.numbers.burst_min_ms):
            self.certain = True
            if self.sounding is not None and plan.codes[self.sounding] != self.code:
                self._end_tone(plan, changes)
            if self.last_end is not None and self.last_code == self.code:
                self._element(plan, self.last_end, self.start, False, changes)
            else:
                self.fits = [Fit() for _ in self.fits]
        if self.reported:
            return
        if self.code in plan.fax:
            name, frames = plan.fax[self.code]
            if length >= frames:
                self.reported, self.doubt = True, False
                changes.append(ToneChange("fax", name, self.start))
        elif length >= _frames(plan.numbers.dial_min_ms) and (place := _continuous(plan, self.code)) is not None:
            self.reported = True
            self._begins(plan, place, self.start, NEVER, changes)

    def _close(self, plan: Plan, changes: list[ToneChange]) -> None:
        """Ends the stretch: it was a burst, or too short for a burst."""
        assert self.end is not None
        if self.doubt:
            self._no_fax(self.end, changes)
        if self.certain:
            before = self.sounding
            self._element(plan, self.start, self.end, True, changes)
            self.last_code, self.last_end = self.code, self.end
            if before is not None and not plan.shapes[before].cadence_ms and self.reported:
                self.sounding_end = self.end
                self._end_tone(plan, changes)
        self.code, self.end = 0, None

    def _element(self, plan: Plan, began: int, end: int, burst: bool, changes: list[ToneChange]) -> None:
        """Adds a complete burst or pause: every shape of this code continues or restarts."""
        fitting: dict[str, list[int]] = {}
        lost = False
        for place, (shape, fit) in enumerate(zip(plan.shapes, self.fits, strict=True)):
            if plan.codes[place] != self.code or not shape.cadence_ms:
                continue
            if place == self.sounding and burst:
                self.sounding_end = end
            if self._fits(plan, shape, fit, began, end, burst):
                fitting.setdefault(shape.name, []).append(place)
            elif place == self.sounding:
                lost = True
        if lost and not any(self._is_recognised(plan, place) for place in fitting.get(self._name(plan), [])):
            self._end_tone(plan, changes)
        for name, places in fitting.items():
            self._extend_shapes(plan, name, places, began, end, burst, changes)

    def _extend_shapes(
        self, plan: Plan, name: str, places: list[int], began: int, end: int, burst: bool, changes: list[ToneChange]
    ) -> None:
        """Adds an element to shapes that share a name; those that have fitted longest count."""
        longest = max(self.fits[place].elements for place in places)
        leading = [place for place in places if self.fits[place].elements == longest]
        # A pause ends when the next burst is certain; a burst ends after its bridge.
        certain_ms = plan.numbers.burst_min_ms if burst else plan.numbers.bridge_ms
        gone_at = end + _frames(certain_ms) + max(plan.bounds(plan.shapes[place], longest)[1] for place in leading)
        for place in leading:
            shape, fit = plan.shapes[place], self.fits[place]
            over = longest - shape.known_after
            if over >= 0 and over % len(shape.cadence_ms) == 0:
                self._begins(plan, place, fit.since if over == 0 else fit.period_since, gone_at, changes)
                self.sounding_end = end if burst else began
                return
        if self._name(plan) == name:
            self.sounding, self.gone_at = (self.sounding if self.sounding in leading else leading[0]), gone_at

    def _is_recognised(self, plan: Plan, place: int) -> bool:
        return self.fits[place].elements >= plan.shapes[place].known_after

    def _name(self, plan: Plan) -> str:
        """The name of the tone that is on."""
        return "" if self.sounding is None else plan.shapes[self.sounding].name

    @staticmethod
    def _fits(plan: Plan, shape: ToneShape, fit: Fit, began: int, end: int, burst: bool) -> bool:
        """Counts the element if it is the due one or else the cadence's first; returns whether it fits."""
        due_is_burst = fit.elements % 2 == 0
        if due_is_burst != burst or not plan.fits(shape, fit.elements, end - began):
            fit.elements = 0
            if not burst or not plan.fits(shape, 0, end - began):
                return False
        if fit.elements == 0:
            fit.since = began
        if fit.elements % len(shape.cadence_ms) == 0:
            fit.period_since = began
        fit.elements += 1
        return True

    def _begins(self, plan: Plan, place: int, at: int, gone_at: int, changes: list[ToneChange]) -> None:
        if self.sounding is not None and self._name(plan) != plan.shapes[place].name:
            self._end_tone(plan, changes)
        self.sounding, self.gone_at = place, gone_at
        changes.append(ToneChange("heard", plan.shapes[place].name, at))

    def _end_tone(self, plan: Plan, changes: list[ToneChange]) -> None:
        if self.sounding is not None:
            changes.append(ToneChange("gone", plan.shapes[self.sounding].name, self.sounding_end))
        self.sounding, self.gone_at = None, NEVER

    def _no_fax(self, at: int, changes: list[ToneChange]) -> None:
        self.doubt = False
        changes.append(ToneChange("no_fax", "", at))

    def _decide(self, plan: Plan) -> None:
        """Sets the next frame at which elapsed time alone changes the state."""
        due = self.gone_at
        if self.code and self.end is not None:
            due = min(due, self.end + _frames(plan.numbers.bridge_ms))
        elif self.code and not self.certain:
            due = min(due, self.start + _frames(plan.numbers.burst_min_ms))
        elif self.code and not self.reported:
            if self.code in plan.fax:
                due = min(due, self.start + plan.fax[self.code][1])
            elif _continuous(plan, self.code) is not None:
                due = min(due, self.start + _frames(plan.numbers.dial_min_ms))
        elif self.doubt and not self.code:
            due = min(due, self.start)  # a gap has hidden the tone
        self.due = due


def _continuous(plan: Plan, code: int) -> int | None:
    for place, shape in enumerate(plan.shapes):
        if plan.codes[place] == code and not shape.cadence_ms:
            return place
    return None


def _frames(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)
