# SPDX-License-Identifier: Apache-2.0
"""Decides hook, ring and polarity of each millisecond from a card's line voltages.

Every decision comes `delay_ms` after its sample, when it is certain whether a change lasts. A change is dated by its
edge. Ringing, during which the line is below the threshold for up to 26 ms in each cycle, does not change the hook.

A voltage below that of any line (3 V) never changes the hook by itself: an open wire is not off-hook, and a dial that
shorts the line is not on-hook. A voltage that sinks slowly through the threshold is a cut wire discharging, not
off-hook. Off-hook is a fall, or a steady voltage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from linetap.board.meter.limits import LimitArrays
from linetap.config.profile import MeterNumbers
from linetap.ring import I16, Bits

FALL_MS, STEADY_MS = 5, 100

Int16 = npt.NDArray[np.int16]


class Decider:
    """The decisions, from samples without a hole; after a hole too long to fill call `restart`."""

    def __init__(self, limits: LimitArrays, numbers: Sequence[MeterNumbers]) -> None:
        """`numbers`: those of the lines' profiles."""
        self.limits = limits
        most = [{name: getattr(n, name) for name in MeterNumbers.__struct_fields__} for n in numbers]
        self._n = MeterNumbers(**{name: max(each[name] for each in most) for name in most[0]})
        self.delay_ms = max(self._n.lift_min_ms, self._n.make_min_ms, self._n.open_min_ms)
        lines = len(limits.lines)
        delay = self.delay_ms
        lasting = Lasting(self._n.lift_min_ms, self._n.open_min_ms, self._n.make_min_ms, self._n.break_max_ms)
        self._hook = Latched(lines, delay, lasting)
        self._polarity = Latched(lines, delay, Lasting(delay, delay, delay, 0))
        self._started = False
        self._dead_ms = [0] * lines
        self._raw = np.zeros((lines, 1), np.bool_)  # hook by the last meaningful voltage
        self._sign = np.zeros((lines, 1), np.bool_)
        self._past: Int16 = np.zeros((lines, 0), np.int16)
        self._keep = max(self._n.ring_window_ms, STEADY_MS)
        self._steady_permille = round(self._n.steady_share * 1000)  # whole numbers, as in the meter's C code
        self._ring_out = np.zeros((lines, self.delay_ms), np.bool_)
        self.at_once: tuple[Bits, Bits] = (np.zeros((lines, 0), np.bool_), np.zeros((lines, 0), np.bool_))

    def restart(self) -> None:
        """Restarts after a hole, in which the state of the lines may have changed."""
        self._started = False

    def push(self, volts: I16) -> tuple[Bits, Bits, Bits]:
        """Adds samples int16 (lines, n), 0.01 V; returns hook, ring and polarity, bool (lines, n), of `delay_ms`
        before them.

        `at_once` then has loop and ring by these samples alone, lasting or not: bool (lines, n).
        """
        volts = np.maximum(volts, -32767)
        if not self._started:
            self._start(volts)
        n = volts.shape[1]
        signed = np.concatenate([self._past, volts], axis=1)
        self._past = signed[:, -self._keep :]
        ring = self._ringing(signed, n)
        size = np.abs(signed)
        hook = self._hook_bits(size, n)
        self.at_once = hook, ring
        turned = self._polarity_bits(volts, size[:, -n:], ring)
        rings = np.concatenate([self._ring_out, ring], axis=1)
        self._ring_out = rings[:, n:]
        return self._hook.push(hook), rings[:, :n], self._polarity.push(turned)

    def _start(self, volts: I16) -> None:
        """Sets the states by the first sample; a line with a meaningless sample keeps its state."""
        first = volts[:, :1]
        size = np.abs(first)
        alive = size >= self.limits.no_line
        self._raw = np.where(alive, size < self.limits.middle, False)
        self._sign = np.where(alive, (first > 0) != self.limits.reversed, self._sign)
        self._hook.set_now(self._raw[:, 0])
        self._polarity.set_now(self._sign[:, 0])
        self._ring_out[:] = False
        self._dead_ms = [0] * len(self._dead_ms)
        self._past = np.repeat(first, self._keep, axis=1)
        self._started = True

    def _hook_bits(self, size: Int16, n: int) -> Bits:
        limits = self.limits
        now = size[:, -n:]
        alive = now >= limits.no_line
        low = alive & (now < limits.off_below)
        high = now > limits.on_above
        if not low.any():
            self._dead(alive, high)
            return self._hysteresis(low, high)
        recent = size[:, -n - FALL_MS : -1]  # the highest voltage of the last FALL_MS
        highest = np.maximum.reduce([recent[:, i : i + n] for i in range(FALL_MS)])
        fell = highest - now >= limits.fall
        moved = np.abs(now - size[:, -n - STEADY_MS : -STEADY_MS]).astype(np.int32)
        steady = moved * 1000 < now.astype(np.int32) * self._steady_permille
        low &= fell | steady
        self._dead(alive, high)
        return self._hysteresis(low, high)

    def _hysteresis(self, low: Bits, high: Bits) -> Bits:
        """The held bit: True from `low` on, False from `high` on, and unchanged in between."""
        known = low | high
        if known.all():  # the usual case
            self._raw = low[:, -1:]
            return low
        at = np.where(known, np.arange(1, low.shape[1] + 1), 0)
        last = np.maximum.accumulate(at, axis=1)
        levels = np.concatenate([self._raw, low], axis=1)
        held: Bits = np.take_along_axis(levels, last, axis=1)
        self._raw = held[:, -1:]
        return held

    def _dead(self, alive: Bits, high: Bits) -> None:
        """Sets `high` no_line_ms after the loss of the line's voltage, which ends off-hook."""
        n, limit = alive.shape[1], self._n.no_line_ms
        if alive.all():
            self._dead_ms = [0] * len(self._dead_ms)
            return
        for line, row in enumerate(alive):
            there = np.flatnonzero(row)
            until = int(there[0]) if len(there) else n
            if self._dead_ms[line] + until > limit:
                high[line, max(0, limit - self._dead_ms[line]) : until] = True
            self._dead_ms[line] = n - 1 - int(there[-1]) if len(there) else self._dead_ms[line] + n

    def _ringing(self, signed: Int16, n: int) -> Bits:
        """Whether there is an alternating voltage: beyond the peak on both sides of the mean, within the window."""
        window, peak = self._n.ring_window_ms, round(self._n.ring_peak_v * 100)
        seen = signed[:, -n - window + 1 :]
        swing = seen.max(axis=1).astype(np.int32) - seen.min(axis=1)  # at 150 Vrms larger than int16
        found = np.zeros((len(signed), n), np.bool_)
        rows = np.flatnonzero(swing >= 2 * peak)
        if len(rows):
            windows = sliding_window_view(seen[rows].astype(np.int32), window, axis=1)
            middle = windows.mean(axis=2, keepdims=True)
            above = np.count_nonzero(windows > middle + peak, axis=2)
            below = np.count_nonzero(windows < middle - peak, axis=2)
            found[rows] = np.minimum(above, below) >= self._n.ring_share_ms
        return found

    def _polarity_bits(self, volts: Int16, size: Int16, ring: Bits) -> Bits:
        on_line = (size >= self.limits.no_line) & ~ring
        positive = (volts > 0) != self.limits.reversed
        if on_line.all():
            self._sign = positive[:, -1:]
            return np.asarray(positive, np.bool_)
        at = np.where(on_line, np.arange(1, size.shape[1] + 1), 0)
        last = np.maximum.accumulate(at, axis=1)
        held: Bits = np.take_along_axis(np.concatenate([self._sign, positive], axis=1), last, axis=1)
        self._sign = held[:, -1:]
        return held


# --- A bit of each line without changes that do not last; each change is dated by its edge ----------------------------


LONG_AGO = -(1 << 30)


@dataclass(frozen=True, slots=True)
class Lasting:
    """The least duration of each change, in samples."""

    rise: int
    fall: int
    again: int  # a rise at most `gap` after the fall before it
    gap: int


class Latched:
    """A filter of bool (lines, n): its output is `delay` samples late, without changes that do not last."""

    def __init__(self, lines: int, delay: int, lasting: Lasting) -> None:
        """`delay`: at least the longest required duration."""
        self._lasting = lasting
        self._now = [False] * lines
        self._fell_at = [LONG_AGO] * lines
        self._since: list[int | None] = [None] * lines  # start of a contrary run that is too short so far
        self._next = 0  # number of the next sample
        self._out = np.zeros((lines, delay), np.bool_)
        self._levels = np.zeros((lines, 1), np.bool_)  # `_now`
        self._same = 0  # samples without a change

    def set_now(self, values: Bits) -> None:
        """Sets the bits (lines,) at once: at the start, and after a hole."""
        self._now = [bool(value) for value in values]
        self._fell_at = [LONG_AGO] * len(self._now)
        self._since = [None] * len(self._now)
        self._levels = values[:, None].copy()
        self._out[:] = self._levels
        self._same = 0

    def push(self, bits: Bits) -> Bits:
        n, delay = bits.shape[1], self._out.shape[1]
        agree = bits == self._levels
        if self._same >= delay and agree.all():  # the usual case
            self._next += n
            return bits
        out = np.concatenate([self._out, np.broadcast_to(self._levels, bits.shape)], axis=1)
        settled = True
        for line, whole in enumerate(agree.all(axis=1).tolist()):
            if not whole or self._since[line] is not None:
                settled = False
                self._follow(line, bits[line], out[line])
        self._same = self._same + n if settled else 0
        self._levels = np.array(self._now, np.bool_)[:, None]
        self._next += n
        self._out = out[:, n:]
        return out[:, :n]

    def _follow(self, line: int, bits: Bits, out: Bits) -> None:
        """Applies the changes of a line to `out`, which has the delayed samples and those of `bits`."""
        n, begins = len(bits), self._next
        before = begins - (len(out) - n)  # number of the first sample in `out`
        cuts = [0, *(np.flatnonzero(bits[1:] != bits[:-1]) + 1).tolist(), n]
        for a, b in pairwise(cuts):
            now, since = self._now[line], self._since[line]
            if bool(bits[a]) == now:
                self._since[line] = None
                continue
            if since is None:
                since = begins + a
            if begins + b - since < self._needed(line, now, since):
                self._since[line] = since
                continue
            out[since - before :] = self._now[line] = not now
            self._since[line] = None
            if now:
                self._fell_at[line] = since

    def _needed(self, line: int, now: bool, since: int) -> int:
        if now:
            return self._lasting.fall
        return self._lasting.again if since - self._fell_at[line] <= self._lasting.gap else self._lasting.rise
