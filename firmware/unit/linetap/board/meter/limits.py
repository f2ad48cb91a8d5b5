# SPDX-License-Identifier: Apache-2.0
"""The thresholds between off-hook and on-hook of each line: from its profile, or halfway between learned voltages.

`LearnedLimits` reloads learned voltages while capture runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linetap.config import profile_of
from linetap.config.profile import MeterNumbers
from linetap.config.schema import Config
from linetap.learned import Learned, LearnedWatch


@dataclass(frozen=True, slots=True)
class LineLimits:
    """A line's limits in volts, without sign. `on_hook_v`, `off_hook_v`: the expected voltages in these states."""

    off_below_v: float
    on_above_v: float
    fall_v: float
    no_line_v: float
    on_hook_v: float
    off_hook_v: float
    reversed: bool = False  # its voltage is positive where that of other lines is negative


def limits_of(numbers: MeterNumbers, no_line_v: float, learned: Learned | None = None) -> LineLimits:
    """Returns the limits of a line with a profile's `numbers` and `no_line_v`; learned values take precedence."""
    reversed_ = bool(learned and learned.reversed)
    on, off = (learned.on_hook_v, learned.off_hook_v) if learned else (None, None)
    if on is None or off is None or on <= off:
        fall = numbers.fall_v
        return LineLimits(
            numbers.off_below_v, numbers.on_above_v, fall, no_line_v, numbers.on_hook_v, numbers.off_hook_v, reversed_
        )
    low, high = (off + share * (on - off) for share in (numbers.low_share, 1 - numbers.low_share))
    return LineLimits(low, high, min(numbers.fall_v, (on - off) / 2), min(no_line_v, off / 2), on, off, reversed_)


class LimitArrays:
    """A card's limits as int16 columns (lines, 1), hundredths of a volt."""

    def __init__(self, limits: Sequence[LineLimits]) -> None:
        self.lines = tuple(limits)
        self.off_below = _column([line.off_below_v for line in limits])
        self.on_above = _column([line.on_above_v for line in limits])
        self.fall = _column([line.fall_v for line in limits])
        self.no_line = _column([line.no_line_v for line in limits])
        self.on_hook = _column([line.on_hook_v * (1 if line.reversed else -1) for line in limits])
        self.off_hook = _column([line.off_hook_v * (1 if line.reversed else -1) for line in limits])
        self.middle = (self.off_below + self.on_above) // 2
        self.reversed = np.array([[line.reversed] for line in limits], np.bool_)


def _column(volts: Sequence[float]) -> npt.NDArray[np.int16]:
    return np.round(np.array(volts, np.float64) * 100).astype(np.int16)[:, None]


# --- Reloading --------------------------------------------------------------------------------------------------------


class LearnedLimits:
    """The present limits; after a change `limits` is another object."""

    def __init__(self, config: Config, card: int, watch: LearnedWatch) -> None:
        self._lines = [(line.number, profile_of(config, line.profile)) for line in config.lines_of(card)]
        self._watch, self._found = watch, watch.found
        self._limits = self._of(self._found)

    @property
    def limits(self) -> LimitArrays:
        found = self._watch.found  # read once: the thread may replace it meanwhile
        if found is not self._found:
            self._found, self._limits = found, self._of(found)
        return self._limits

    def _of(self, found: dict[int, Learned]) -> LimitArrays:
        return LimitArrays([limits_of(p.meter, p.no_line_v, found.get(number)) for number, p in self._lines])
