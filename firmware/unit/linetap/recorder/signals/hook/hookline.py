# SPDX-License-Identifier: Apache-2.0
"""The hook events of one line: ringing, loop and polarity, from one-millisecond bits and the meter's voltages.

Numbers come from the line's profile. Every event is dated by the bits alone, so the result does not depend on the cuts
between batches.

**Accuracy of the dates.** Off-hook is late by the contact's bounce. If ringing disturbs the hook bit, off-hook is early
by the last disturbing pulse (4 ms at 20 Hz and 75 Vrms; always less than half a cycle). If ringing also disturbs the
closed loop, off-hook is dated at the end of the disturbance. A loop break is early by up to one slot.

**Ringing.** Ringing is over when the next burst is missing. The pause between bursts is learnt from the line, by two
pauses of the same length in this call or an earlier one. Until then the longest pause of any exchange is assumed, and a
call within that time counts as the same call.
"""

from __future__ import annotations

import msgspec
import numpy as np

from linetap.config.profile import Profile
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.hook.level import FRAMES_PER_MS, Level, runs, without_line
from linetap.recorder.signals.hook.loop import Loop
from linetap.ring import I16, Bits

ALIKE_PERCENT = 15  # tolerance between two pauses of one cadence, which a second call's first burst hardly meets
LATE_PERCENT, LATE_MS = 15, 300  # tolerated delay of a burst
__all__ = ["FRAMES_PER_MS", "HookLine"]


class Ringing(msgspec.Struct):
    """Bursts of ringing on one line.

    The caller passes bits of an open loop only: on a closed loop the detector reacts to dial pulses.
    """

    start: int | None = None  # start of the burst
    end: int | None = None  # the last frame at which the ring detector was on
    counted: bool = False
    rang_until: int | None = None  # the end of the last burst that was counted, of any call
    pause: int | None = None  # pause before the last counted burst
    usual: int | None = None  # frames: the usual pause of this line

    def follow(self, bits: Bits, frame: int, profile: Profile) -> list[Event]:
        """The events of `bits` (milliseconds from `frame`)."""
        if self.end is None and not np.count_nonzero(bits):
            return []
        events: list[Event] = []
        gap, least = profile.ring_gap_ms * FRAMES_PER_MS, profile.ring_min_ms * FRAMES_PER_MS
        for start, end, on in runs(bits, frame):
            if not on:
                self._end_ringing_if_over(end, profile, events)
                continue
            self._end_ringing_if_over(start, profile, events)
            if self.start is None or self.end is None or start - self.end > gap:
                self.start, self.counted = start, False
            self.end = end
            self._ends_at(end)
            certain = max(self.start + least, start)
            if not self.counted and end >= certain:
                self.counted = True
                self._learn(profile)
                self._ends_at(end)
                events.append(Event(certain, "ringing", self.start))
        return events

    @property
    def expected(self) -> bool:
        """Whether the line rings or pauses between two bursts."""
        return self.end is not None

    def answered(self) -> None:
        """Ends the ringing: the line was answered."""
        self.start, self.end, self.counted = None, None, False

    def _end_ringing_if_over(self, frame: int, profile: Profile, events: list[Event]) -> None:
        give_up = self._ring_timeout_frames(profile)
        if self.end is not None and frame - self.end >= give_up:
            events.append(Event(self.end + give_up, "ring_gone", self.end))
            self.answered()

    def _ends_at(self, end: int) -> None:
        if self.counted:
            self.rang_until = end

    def _learn(self, profile: Profile) -> None:
        """Learns the line's pause, also after ringing that seemed over: the next two bursts correct a pause that is too
        short.
        """
        before, self.pause = self.pause, None
        if self.start is None or self.rang_until is None:
            return
        pause = self.start - self.rang_until
        if 0 < pause < profile.ring_give_up_ms * FRAMES_PER_MS:
            self.pause = pause
            if before is not None and abs(pause - before) * 100 <= before * ALIKE_PERCENT:
                self.usual = max(pause, before, self.usual or 0)  # a line may ring in two ways

    def _ring_timeout_frames(self, profile: Profile) -> int:
        """Frames from the end of a burst after which the ringing is over."""
        longest = profile.ring_give_up_ms * FRAMES_PER_MS
        if self.usual is None:
            return longest
        return min(longest, self.usual * (100 + LATE_PERCENT) // 100 + LATE_MS * FRAMES_PER_MS)


class HookLine(msgspec.Struct):
    """The state of a line's hook events, kept in the checkpoint."""

    loop: Loop = msgspec.field(default_factory=Loop)
    ringing: Ringing = msgspec.field(default_factory=Ringing)
    polarity: Level = msgspec.field(default_factory=Level)

    @property
    def off_hook_since(self) -> int | None:
        """The frame since which the line is off-hook, across flashes and pulses. None: on-hook, or the wire is dead."""
        return self.loop.off_hook_since

    def certain_until(self, end: int) -> int:
        """The frame up to which, but not beyond `end`, the loop is certainly the call's."""
        return self.loop.certain_until(end)

    def follow(self, hook: Bits, ring: Bits, polarity: Bits, volts: I16, frame: int, profile: Profile) -> list[Event]:
        """The events of one batch; bits (milliseconds,), the first at `frame`; `volts`: 0.01 V or NO_VOLTS (slots,)."""
        steady = self.polarity.quiet(polarity)
        still = steady and self.loop.quiet(hook, None)
        if still and not self.loop.closed:
            return self.ringing.follow(ring, frame, profile)  # the usual case: the voltages can change nothing
        dead = without_line(volts, profile)
        if still and dead is None and self.loop.in_use:
            return []  # the usual case during a call
        events = self._loop(hook, dead, ring, frame, profile)
        if not steady:
            debounce = profile.polarity_debounce_ms * FRAMES_PER_MS
            changes = self.polarity.follow(polarity, dead, frame, debounce)
            events += [Event(known, "polarity", at) for known, at, _ in changes]
        events.sort(key=lambda event: event.order)
        return events

    def reset_at_gap(self) -> None:
        self.loop.reset_at_gap()
        self.polarity.reset_at_gap()

    def _loop(self, hook: Bits, dead: Bits | None, ring: Bits, frame: int, profile: Profile) -> list[Event]:
        """The events of loop and ringing.

        The ring detector counts on-hook only: on a closed loop it reacts to the end of ringing and to dial pulses.
        """
        events: list[Event] = []
        listening_from = None if self.loop.in_use else 0
        if not self.loop.quiet(hook, dead):
            for event in self.loop.follow(hook, dead, frame, profile):
                events.append(event)
                ms = (event.known - frame) // FRAMES_PER_MS
                if event.name == "on_hook":
                    listening_from = ms
                elif event.name == "off_hook":
                    assert listening_from is not None
                    start = frame + listening_from * FRAMES_PER_MS
                    events += self.ringing.follow(ring[listening_from:ms], start, profile)
                    if self.ringing.expected:
                        self.loop.train.awaited(None)
                    self.ringing.answered()
                    listening_from = None
        if listening_from is not None:
            start = frame + listening_from * FRAMES_PER_MS
            events += self.ringing.follow(ring[listening_from:], start, profile)
        return events
