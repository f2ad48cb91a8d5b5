# SPDX-License-Identifier: Apache-2.0
"""One bit of each line without the changes that do not last, each change dated by its edge."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from linetap.ring import Bits

LONG_AGO = -(1 << 30)


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long a change has to last, in samples, to count."""

    rise: int
    fall: int
    again: int  # a rise at most `gap` after the fall before it
    gap: int


class Latched:
    """Bool (lines, n) in, the same (lines, n) out `delay` samples later."""

    def __init__(self, lines: int, delay: int, lasting: Lasting) -> None:
        """`delay`: at least as long as anything has to last."""
        self._lasting = lasting
        self._now = [False] * lines
        self._fell_at = [LONG_AGO] * lines
        self._since: list[int | None] = [None] * lines  # where a contrary run began that is too short so far
        self._next = 0  # number of the next sample
        self._out = np.zeros((lines, delay), np.bool_)
        self._levels = np.zeros((lines, 1), np.bool_)  # `_now`
        self._same = 0  # samples without a change

    def set_now(self, values: Bits) -> None:
        """Sets (lines,) at once: at the start, and after a hole."""
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
        """`out`: the delayed samples, and those of `bits`."""
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
