# SPDX-License-Identifier: Apache-2.0
"""Bursts of ringing on one line, from the ring detector's bits.

Ringing is over when the next burst does not come. When it should come the line itself tells: two pauses of one length,
of this call or an earlier one. Until then it is the longest pause of any exchange, and a call within that is the same.
"""

from __future__ import annotations

import msgspec
import numpy as np

from linetap.config.profile import Profile
from linetap.recorder.signals.event import Event
from linetap.recorder.signals.hook.level import FRAMES_PER_MS, runs
from linetap.ring import Bits

ALIKE_PERCENT = 15  # two pauses of one cadence; the second call's first burst is nearly always out of step
LATE_PERCENT, LATE_MS = 15, 300  # so late a burst may be


class Ringing(msgspec.Struct):
    """Whoever holds it says when it is to listen: on a closed loop the detector sees dial pulses, not ringing."""

    start: int | None = None  # of the burst
    end: int | None = None  # where the detector was last on
    counted: bool = False
    rang_until: int | None = None  # the end of the last burst that was counted, of whatever call
    pause: int | None = None  # before the last burst that was counted
    usual: int | None = None  # frames: the pause of this line

    def follow(self, bits: Bits, frame: int, profile: Profile) -> list[Event]:
        """Events of `bits` (milliseconds from `frame`)."""
        if self.end is None and not np.count_nonzero(bits):
            return []
        events: list[Event] = []
        gap, least = profile.ring_gap_ms * FRAMES_PER_MS, profile.ring_min_ms * FRAMES_PER_MS
        for start, end, on in runs(bits, frame):
            if not on:
                self._gone_by(end, profile, events)
                continue
            self._gone_by(start, profile, events)
            if self.start is None or self.end is None or start - self.end > gap:
                self.start, self.counted = start, False
            self.end = end
            self._heard_until(end)
            certain = max(self.start + least, start)
            if not self.counted and end >= certain:
                self.counted = True
                self._learn(profile)
                self._heard_until(end)
                events.append(Event(certain, "ringing", self.start))
        return events

    @property
    def expected(self) -> bool:
        """It rings, or is between bursts."""
        return self.end is not None

    def answered(self) -> None:
        """It rings no more, and was not given up."""
        self.start, self.end, self.counted = None, None, False

    def _gone_by(self, frame: int, profile: Profile, events: list[Event]) -> None:
        give_up = self._give_up(profile)
        if self.end is not None and frame - self.end >= give_up:
            events.append(Event(self.end + give_up, "ring_gone", self.end))
            self.answered()

    def _heard_until(self, end: int) -> None:
        if self.counted:
            self.rang_until = end

    def _learn(self, profile: Profile) -> None:
        """Also of what was taken for over: a line that was learnt too short is found out by its next two bursts."""
        before, self.pause = self.pause, None
        if self.start is None or self.rang_until is None:
            return
        pause = self.start - self.rang_until
        if 0 < pause < profile.ring_give_up_ms * FRAMES_PER_MS:
            self.pause = pause
            if before is not None and abs(pause - before) * 100 <= before * ALIKE_PERCENT:
                self.usual = max(pause, before, self.usual or 0)  # a line may ring in two ways

    def _give_up(self, profile: Profile) -> int:
        """Frames behind the end of a burst."""
        longest = profile.ring_give_up_ms * FRAMES_PER_MS
        if self.usual is None:
            return longest
        return min(longest, self.usual * (100 + LATE_PERCENT) // 100 + LATE_MS * FRAMES_PER_MS)
