# SPDX-License-Identifier: Apache-2.0
"""Bursts of ringing on one line, from the ring detector's bits."""

from __future__ import annotations

import msgspec
import numpy as np

from linetap.config.profile import Profile
from linetap.recorder.signals.event import Event
from linetap.recorder.signals.hook.level import FRAMES_PER_MS, runs
from linetap.ring import Bits


class Ringing(msgspec.Struct):
    """Whoever holds it says when it is to listen: on a closed loop the detector sees dial pulses, not ringing."""

    start: int | None = None  # of the burst
    end: int | None = None  # where the detector was last on
    counted: bool = False

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
            certain = max(self.start + least, start)
            if not self.counted and end >= certain:
                self.counted = True
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
        give_up = profile.ring_give_up_ms * FRAMES_PER_MS
        if self.end is not None and frame - self.end >= give_up:
            events.append(Event(self.end + give_up, "ring_gone", self.end))
            self.answered()
