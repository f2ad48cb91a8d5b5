# SPDX-License-Identifier: Apache-2.0
"""Dial pulses: breaks of a closed loop, counted into digits.

A train is every break of 15 to 200 ms that follows another within 250 ms of make; what the hook's debounce swallows
(25 ms) is none. Every train becomes an event `digit`, but its text is empty where the breaks are more likely trouble:

* more than ten of them, or a break between them that is neither pulse nor flash;
* breaks that do not come at a dial's even rate;
* one break alone where nobody can be dialling. A loose contact and a "1" look alike, so a lone break is a "1" only of
  a dial's length, not at once after the loop closed, and in the time in which an exchange waits for digits: after
  off-hook without ringing, after a flash, after another digit.

A train that a flash, the end of the call or a gap cuts off is no digit.
"""

from __future__ import annotations

import msgspec

from linetap.config.numbers import PulseNumbers
from linetap.recorder.signals.event import Event
from linetap.recorder.signals.hook.level import FRAMES_PER_MS

MOST_PULSES = 10


class PulseTrain(msgspec.Struct):
    awaited_since: int | None = None  # an exchange waits for digits, or did
    awaited_by_digit: bool = False  # a digit before, not an edge of the hook
    count: int = 0
    first: int = 0  # where the first break began
    last: int = 0  # where the last break began
    closed: int = 0  # where it ended
    shortest: int = 0  # periods, from break to break
    longest: int = 0
    odd: bool = False  # a break between them that is no pulse

    def awaited(self, frame: int | None) -> None:
        """Off-hook or flash, and the frame; None: off-hook by answering."""
        self.awaited_since, self.awaited_by_digit = frame, False
        self.void()

    def broke(self, opened: int, closed: int, pulse: bool, numbers: PulseNumbers) -> None:
        """The loop was open in [opened, closed), and it was no flash. `pulse`: a battery was on the line."""
        length_ms = (closed - opened) // FRAMES_PER_MS
        if not (pulse and numbers.break_min_ms <= length_ms <= numbers.break_max_ms):
            self.odd = self.count > 0
            self.closed = closed
            return
        if self.count == 0:
            self.first = opened
        else:
            period = opened - self.last
            self.shortest = period if self.count == 1 else min(self.shortest, period)
            self.longest = max(self.longest, period)
        self.count += 1
        self.last, self.closed = opened, closed

    def due(self, numbers: PulseNumbers) -> int | None:
        """The frame at which the train is over if the loop stays closed until then."""
        return self.closed + numbers.digit_gap_ms * FRAMES_PER_MS if self.count else None

    def digit(self, known: int, numbers: PulseNumbers) -> Event:
        """The train is over."""
        plausible = self._is_one(numbers) if self.count == 1 else self._is_dialled(numbers)
        text = str(self.count % MOST_PULSES) if plausible and not self.odd else ""
        event = Event(known, "digit", self.first, text)
        if text:
            self.awaited_since, self.awaited_by_digit = self.closed, True
        self.void()
        return event

    def void(self) -> None:
        self.count, self.longest, self.odd = 0, 0, False

    def _is_one(self, numbers: PulseNumbers) -> bool:
        if self.awaited_since is None or not self.closed - self.first <= numbers.lone_break_max_ms * FRAMES_PER_MS:
            return False
        waited_ms = (self.first - self.awaited_since) // FRAMES_PER_MS
        at_once = not self.awaited_by_digit and waited_ms < numbers.after_hook_ms
        return not at_once and waited_ms <= numbers.awaited_ms

    def _is_dialled(self, numbers: PulseNumbers) -> bool:
        slowest, fastest = numbers.period_max_ms * FRAMES_PER_MS, numbers.period_min_ms * FRAMES_PER_MS
        even = self.longest <= numbers.unevenness * self.shortest
        return self.count <= MOST_PULSES and even and fastest <= self.shortest and self.longest <= slowest
