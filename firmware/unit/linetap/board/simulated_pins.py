# SPDX-License-Identifier: Apache-2.0
"""The HOOK pins of a simulated card that has a meter: late and with fixed thresholds, as the drawing has them.

What they say beside the meter is the second opinion, and the fall-back when it is silent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.board.frontend import HOOK_OFF_AFTER_MS, HOOK_OFF_BELOW_V, HOOK_ON_ABOVE_V
from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.simulated import SimulatedCard, lasted_ms
from linetap.ring import NO_VOLTS, Bits
from linetap_core.clock import NS_PER_MS

_OFF_BELOW, _ON_ABOVE = round(HOOK_OFF_BELOW_V.low * 100), round(HOOK_ON_ABOVE_V.high * 100)
_LOOK_MS = round(HOOK_OFF_AFTER_MS.high) + 1 + PERIOD_MS


class SimulatedPins(SimulatedCard):
    """No line is like another: the first has the fastest parts and the last the slowest."""

    def __init__(self, run_dir: Path, card: int, lines: int) -> None:
        super().__init__(run_dir, card, lines)
        after_ms = np.linspace(HOOK_OFF_AFTER_MS.low, HOOK_OFF_AFTER_MS.high, lines)
        self._after_ms = np.rint(after_ms).astype(np.int64)[:, None]
        self._held = np.zeros((lines, 1), np.bool_)  # whether each comparator was within its window

    def levels(self, until_ns: int) -> Levels:
        self._wires.arm(until_ns // NS_PER_MS)
        hook, _, _, volts = self._wires.samples(until_ns // NS_PER_MS, _LOOK_MS)
        since_ms = lasted_ms(self._within(hook, volts))
        pins: Bits = since_ms[:, -PERIOD_MS:] > self._after_ms  # on-hook passes within a millisecond
        none = np.zeros_like(pins)
        return Levels(pins, none, none, np.full(len(pins), NO_VOLTS, np.int16))

    def _within(self, hook: Bits, volts: npt.NDArray[np.int16]) -> Bits:
        """The comparators with their hysteresis. A contact that bounces is only in the bits, not in the volts."""
        size = np.abs(volts.astype(np.int32))
        inside = hook & (size < _OFF_BELOW)
        outside = (size > _ON_ABOVE) | (~hook & (size < _OFF_BELOW))
        last = np.maximum.accumulate(np.where(inside | outside, np.arange(1, _LOOK_MS + 1), 0), axis=1)
        held: Bits = np.take_along_axis(np.concatenate([self._held, inside], axis=1), last, axis=1)
        self._held = held[:, -1:]
        return held
