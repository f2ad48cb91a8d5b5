# SPDX-License-Identifier: Apache-2.0
"""What a meter would measure on the simulated wires, which carry voltages and bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from linetap.board.wires import Wires
from linetap.ring import I16, Bits
from linetap_bench.levels import RINGING_HZ, SHAKE_PEAK_V

NOMINAL = 4800  # ringing is added to a battery of so much
UNKNOWN_SHARE = 0.75  # of the open loop's voltage: what is below is closed, where no closed loop was seen yet
STEADY_SAMPLES = 4  # a contact that bounces changes more often

VoltsAt = Callable[[int, int], I16]


class WireVolts:
    """The volts of simulated wires, with what the exchange gives only as bits: ringing and a contact's bounce."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._open = np.zeros((wires.lines, 1), np.int64)  # 0: not seen yet
        self._closed = np.zeros((wires.lines, 1), np.int64)

    def __call__(self, first_ms: int, n: int) -> I16:
        """Int16 (lines, n), 0.01 V, from millisecond `first_ms` on."""
        hook, ring, _, given = self._wires.samples(first_ms + n, n)
        volts = given.astype(np.int64)
        self._remember(volts, hook, ring)
        open_, closed = np.abs(self._open), np.abs(self._closed)
        middle = np.where(closed == 0, open_ * UNKNOWN_SHARE, (open_ + closed) / 2)
        bounces = (hook != (np.abs(volts) < middle)) & ~ring & (volts != 0)
        told = np.where(hook, self._closed, self._open)
        volts = np.where(bounces & (told != 0), told, volts)
        at_s = np.arange(first_ms, first_ms + n) / 1000
        swing = SHAKE_PEAK_V * 100 * np.sin(2 * np.pi * RINGING_HZ * at_s) / NOMINAL
        return np.clip(np.rint(volts + ring * np.abs(volts) * swing), -26_500, 26_500).astype(np.int16)

    def _remember(self, volts: npt.NDArray[np.int64], hook: Bits, ring: Bits) -> None:
        """What a loop has that neither bounces nor rings, whatever that is: 40 V may well be off-hook."""
        if hook.shape[1] < STEADY_SAMPLES:
            return
        same = (hook == hook[:, :1]).all(axis=1) & ~ring.any(axis=1) & (volts == volts[:, :1]).all(axis=1)
        for kept, rows in ((self._closed, same & hook[:, -1]), (self._open, same & ~hook[:, -1])):
            rows &= volts[:, -1] != 0
            kept[rows, 0] = volts[rows, -1]
