# SPDX-License-Identifier: Apache-2.0
"""Runs of equal bits of one millisecond each, and a debounced bit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.config.profile import Profile
from linetap.ring import I16, SLOT_MS, Bits

FRAMES_PER_MS = 8


def runs(values: npt.NDArray[Any], frame: int) -> list[tuple[int, int, int]]:
    """Runs of equal values (milliseconds,) as (first frame, end frame, value); the first value is at `frame`."""
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    cuts = [0, *edges.tolist(), len(values)]
    return [(frame + a * FRAMES_PER_MS, frame + b * FRAMES_PER_MS, int(values[a])) for a, b in pairwise(cuts) if b > a]


def all_are(bits: Bits, value: bool) -> bool:
    """Whether all bits have this value.

    Counting is six times as fast as comparing, and is most of the work for an idle line.
    """
    return int(np.count_nonzero(bits)) == (len(bits) if value else 0)


def without_line(volts: I16, profile: Profile) -> Bits | None:
    """The milliseconds in which no exchange was on the line; None: an exchange was on the line throughout.

    `volts`: 0.01 V (slots,); NO_VOLTS counts as an exchange.
    """
    limit = round(profile.no_line_v * 100)
    dead = (volts > -limit) & (volts < limit)
    return np.repeat(dead, SLOT_MS) if np.count_nonzero(dead) else None


class Level(msgspec.Struct):
    """One debounced bit: a change counts once the new level has lasted without a break for the debounce time."""

    value: bool = False
    contrary_since: int | None = None  # frame at which the unbroken run of the other level began

    def quiet(self, bits: Bits) -> bool:
        return self.contrary_since is None and all_are(bits, self.value)

    def follow(self, bits: Bits, blind: Bits | None, frame: int, debounce: int) -> list[tuple[int, int, bool]]:
        """The changes in `bits` (milliseconds from `frame`) as (frame certain, frame of the edge, new level).

        `blind`: milliseconds in which the bit is meaningless; None: it never is.
        """
        changes: list[tuple[int, int, bool]] = []
        for start, end, code in runs(bits if blind is None else bits + np.int8(2) * blind, frame):
            if code > 1 or bool(code) == self.value:
                self.contrary_since = None
                continue
            if self.contrary_since is None:
                self.contrary_since = start
            if end - self.contrary_since >= debounce:
                changes.append((self.contrary_since + debounce, self.contrary_since, bool(code)))
                self.value, self.contrary_since = bool(code), None
        return changes

    def reset_at_gap(self) -> None:
        """Discards a change that has begun at a gap."""
        self.contrary_since = None
