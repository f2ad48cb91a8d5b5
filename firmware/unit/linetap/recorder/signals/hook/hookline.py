# SPDX-License-Identifier: Apache-2.0
"""All levels of one line, from one-millisecond bits and the meter's voltages.

Numbers are the line profile's. The result does not depend on how the bits are cut into batches: every event is
dated by the bits alone.

How near the dates are to the truth: off-hook is late by the contact's bounce. Where ringing shakes the hook bit, it is
early by the one pulse that runs into it (4 ms at 20 Hz and 75 Vrms; always less than half a cycle), and if the ringing
shakes the closed loop too, it is dated where that ends. A loop break is early by up to one slot.
"""

from __future__ import annotations

import msgspec

from linetap.config.profile import Profile
from linetap.recorder.signals.event import Event
from linetap.recorder.signals.hook.level import FRAMES_PER_MS, Level, without_line
from linetap.recorder.signals.hook.loop import Loop
from linetap.recorder.signals.hook.ringing import Ringing
from linetap.ring import I16, Bits

__all__ = ["FRAMES_PER_MS", "HookLine"]


class HookLine(msgspec.Struct):
    """State only: encode it and go on elsewhere."""

    loop: Loop = msgspec.field(default_factory=Loop)
    ringing: Ringing = msgspec.field(default_factory=Ringing)
    polarity: Level = msgspec.field(default_factory=Level)

    @property
    def off_hook_since(self) -> int | None:
        """The frame since which the line is held; through flashes and pulses. None: on-hook, or the wire is dead."""
        return self.loop.off_hook_since

    def certain_until(self, end: int) -> int:
        """Up to where, but not beyond `end`, the loop is known to be the call's."""
        return self.loop.certain_until(end)

    def follow(self, hook: Bits, ring: Bits, polarity: Bits, volts: I16, frame: int, profile: Profile) -> list[Event]:
        """Events of one batch; bits (milliseconds,), the first at `frame`; `volts`: 0.01 V or NO_VOLTS (slots,)."""
        steady = self.polarity.quiet(polarity)
        still = steady and self.loop.quiet(hook, None)
        if still and not self.loop.closed:
            return self.ringing.follow(ring, frame, profile)  # as nearly always: the voltages can change nothing
        dead = without_line(volts, profile)
        if still and dead is None and self.loop.in_use:
            return []  # as in nearly every batch of a call
        events = self._loop(hook, dead, ring, frame, profile)
        if not steady:
            debounce = profile.polarity_debounce_ms * FRAMES_PER_MS
            changes = self.polarity.follow(polarity, dead, frame, debounce)
            events += [Event(known, "polarity", at) for known, at, _ in changes]
        events.sort(key=lambda event: event.turn)
        return events

    def lose_sight(self) -> None:
        self.loop.lose_sight()
        self.polarity.lose_sight()

    def _loop(self, hook: Bits, dead: Bits | None, ring: Bits, frame: int, profile: Profile) -> list[Event]:
        """The ring detector counts on-hook alone: on a closed loop it sees the end of ringing, and dial pulses."""
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
