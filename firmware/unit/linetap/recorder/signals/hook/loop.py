# SPDX-License-Identifier: Apache-2.0
"""One line's loop: off-hook, flash, dial pulses, on-hook and the exchange's loop break, from hook bit and voltage.

**Loop.** Events are `off_hook`, then any number of `flash`, `digit` and `loop_break`, then `on_hook`. An opening of the
loop may become any of the last four. The event is raised once it is certain and dated back to the opening; until then
no audio after the opening may be recorded. After a loop break the handset may still be lifted: if current returns with
the battery, the line is off-hook as before, without another `off_hook`; if not, `on_hook` follows. Without a battery
the two cannot be distinguished. On a wire without an exchange (less than 3 V for a slot of the meter) the hook bit is
meaningless and closes no loop.

**Pulses.** Breaks of a closed loop are counted into digits. A train consists of breaks of 15 to 200 ms, each within
250 ms of make after another; breaks within the hook's debounce (25 ms) do not count. Every train becomes an event
`digit`, whose text is empty if the breaks are more likely a fault:

* more than ten of them, or a break between them that is neither pulse nor flash;
* breaks without a dial's even rate;
* a lone break where dialling is impossible. A loose contact resembles a "1", so a lone break is a "1" only with a
  dial's length, not at once after the loop closed, and while an exchange waits for digits: after off-hook without
  ringing, after a flash, after another digit.

A train that is cut off by a flash, the call's end or a gap is no digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np

from linetap.config.profile import Profile, PulseNumbers
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.hook.level import FRAMES_PER_MS, all_are, runs
from linetap.ring import SLOT_MS, Bits

MOST_PULSES = 10
Turn = Literal["edge", "loop_break", "on_hook", "digit"]


class PulseTrain(msgspec.Struct):
    """The pulses of one digit so far."""

    awaited_since: int | None = None  # frame since which an exchange waits for digits, or waited
    awaited_by_digit: bool = False  # after a digit, not after an edge of the hook
    count: int = 0
    first: int = 0  # start of the first break
    last: int = 0  # start of the last break
    closed: int = 0  # end of the last break
    shortest: int = 0  # periods, from break to break
    longest: int = 0
    odd: bool = False  # a break among the pulses that is no pulse

    def awaited(self, frame: int | None) -> None:
        """Sets the frame from which the exchange waits for digits, at off-hook or flash; None: an answer."""
        self.awaited_since, self.awaited_by_digit = frame, False
        self.discard()

    def broke(self, opened: int, closed: int, pulse: bool, numbers: PulseNumbers) -> None:
        """Adds an opening [opened, closed) of the loop that was no flash. `pulse`: with a battery on the line."""
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
        """The event of a train that is over."""
        plausible = self._is_one(numbers) if self.count == 1 else self._is_dialled(numbers)
        text = str(self.count % MOST_PULSES) if plausible and not self.odd else ""
        event = Event(known, "digit", self.first, text)
        if text:
            self.awaited_since, self.awaited_by_digit = self.closed, True
        self.discard()
        return event

    def discard(self) -> None:
        """Discards the train."""
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


class Loop(msgspec.Struct):
    """State of the loop, kept in the checkpoint."""

    closed: bool = False  # debounced
    contrary_since: int | None = None  # frame at which the unbroken run of the other level began
    off_hook_since: int | None = None  # kept across flashes, pulses and openings of unknown cause
    open_since: int | None = None  # an opening while off-hook, of unknown cause or by a loop break
    broken: bool = False  # that opening is the exchange's loop break
    open_dead: bool = False  # the open loop was without a battery for a time: no pulse
    dead_since: int | None = None  # off-hook, and no exchange on the wire
    dead: bool = False  # no exchange on the wire now, and
    live_since: int | None = None  # frame since which there is an exchange again
    train: PulseTrain = msgspec.field(default_factory=PulseTrain)

    @property
    def in_use(self) -> bool:
        """Whether the loop is off-hook, or open for a cause that is not known yet."""
        return self.off_hook_since is not None or self.open_since is not None

    def certain_until(self, end: int) -> int:
        """The frame up to which the loop is certainly the call's: its opening or loss, while the cause is unknown."""
        since = (self.open_since, self.dead_since, self.contrary_since if self.closed else None)
        return min((frame for frame in since if frame is not None), default=end)

    def quiet(self, hook: Bits, dead: Bits | None) -> bool:
        """Whether nothing changes in this batch and nothing is awaited."""
        if self.contrary_since is not None or not all_are(hook, self.closed):
            return False
        if self.closed:
            return dead is None and self.dead_since is None and not self.train.count
        return self.open_since is None

    def follow(self, hook: Bits, dead: Bits | None, frame: int, profile: Profile) -> Iterator[Event]:
        """Yields the events of one batch in order, lazily: the caller may change the loop between two events.

        `hook`, `dead` (no exchange on the wire; None: never): (milliseconds,), the first at `frame`.
        """
        for start, end, code in runs(hook if dead is None else hook + np.int8(2) * dead, frame):
            now = start
            self._input(now, bool(code & 1), code > 1)
            while (due := self._due(profile))[0] <= end:
                now = max(due[0], now)  # after a gap, the event is certain only now
                if (event := self._apply(due[1], now, profile)) is not None:
                    yield event
                if now < end:  # the input at `end` is not known yet
                    self._input(now, bool(code & 1), code > 1)

    def reset_at_gap(self) -> None:
        """Discards a change that has begun at a gap, and the train: the number of pulses in the gap is unknown."""
        self.contrary_since, self.dead_since, self.dead, self.live_since = None, None, False, None
        self.train.discard()

    def _input(self, frame: int, hook: bool, dead: bool) -> None:
        """Sets the states of pin and wire from this frame on."""
        live_call = self.off_hook_since is not None
        if dead != self.dead:
            self.dead, self.live_since = dead, None if dead else frame
        if not (dead and live_call):
            self.dead_since = None
        elif self.dead_since is None:
            self.dead_since = frame
        if dead and self.open_since is not None:
            self.open_dead = True
        closed = hook and (live_call or not dead)
        if closed == self.closed:
            self.contrary_since = None
        elif self.contrary_since is None:
            self.contrary_since = frame

    def _due(self, profile: Profile) -> tuple[int, Turn]:
        """The next change and its time, if pin and wire keep their states; of two at the same frame, the first in
        this order.
        """
        found: list[tuple[int, Turn]] = []
        if self.contrary_since is not None:
            found.append((self.contrary_since + self._debounce_ms(profile) * FRAMES_PER_MS, "edge"))
        elif self.closed and (over := self.train.due(profile.pulses)) is not None:
            found.append((over, "digit"))
        if self.dead_since is not None:
            settled = profile.loop_break_settle_ms * FRAMES_PER_MS
            if self.open_since is None or self.dead_since - self.open_since <= settled:
                found.append((self.dead_since + profile.loop_break_min_ms * FRAMES_PER_MS, "loop_break"))
        if self.open_since is not None:
            # The flash time is over, and a closing that began within the flash time would be debounced by now.
            over = self.open_since + (profile.flash_max_ms + profile.lift_debounce_ms) * FRAMES_PER_MS
            if self.broken:
                over = max(
                    over, min(self._first_certain_lift(profile), self.open_since + _frames(profile.loop_break_max_ms))
                )
            found.append((over, "on_hook"))
        return min(found, key=lambda turn: turn[0], default=(1 << 62, "edge"))

    def _first_certain_lift(self, profile: Profile) -> int:
        """The first frame at which a lifted handset would be certain: a slot of the meter after the battery returns."""
        if self.dead:
            return 1 << 62
        return 0 if self.live_since is None else self.live_since + _frames(profile.lift_debounce_ms + SLOT_MS)

    def _debounce_ms(self, profile: Profile) -> int:
        if self.closed:
            return profile.hook_debounce_ms
        assert self.contrary_since is not None
        if self.open_since is None:
            return profile.lift_debounce_ms
        short = self.contrary_since - self.open_since <= profile.pulses.break_max_ms * FRAMES_PER_MS
        return profile.pulses.make_min_ms if short else profile.lift_debounce_ms

    def _apply(self, what: Turn, now: int, profile: Profile) -> Event | None:
        match what:
            case "edge":
                return self._edge(now, profile)
            case "digit":
                return self.train.digit(now, profile.pulses)
            case "loop_break":
                assert self.dead_since is not None
                at = self.dead_since if self.open_since is None else min(self.dead_since, self.open_since)
                self.closed, self.contrary_since, self.off_hook_since, self.dead_since = False, None, None, None
                self.open_since, self.broken = at, True
            case "on_hook":
                assert self.open_since is not None
                at = self.open_since
                self.off_hook_since, self.open_since, self.broken, self.dead_since = None, None, False, None
        self.train.discard()
        return Event(now, what, at)

    def _edge(self, now: int, profile: Profile) -> Event | None:
        assert self.contrary_since is not None
        at, self.contrary_since, self.closed = self.contrary_since, None, not self.closed
        if not self.closed:
            self.open_since, self.open_dead = at, False
            return None
        opened, self.open_since = self.open_since, None
        if opened is None or self.broken:
            self.off_hook_since, self.broken = at, False
            self.train.awaited(at)
            return Event(now, "off_hook", at) if opened is None else None
        if at - opened >= profile.flash_min_ms * FRAMES_PER_MS:
            self.train.awaited(at)
            return Event(now, "flash", opened)
        self.train.broke(opened, at, not self.open_dead, profile.pulses)
        return None


def _frames(ms: int) -> int:
    return ms * FRAMES_PER_MS
