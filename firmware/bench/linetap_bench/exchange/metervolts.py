# SPDX-License-Identifier: Apache-2.0
"""The volts that a card's meter measures: ringing and a bouncing contact, which a script has as bits, become volts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from linetap.ring import I16, Bits
from linetap_bench.exchange.linetimeline import RINGING_HZ, SHAKE_PEAK_V
from linetap_bench.script.scriptkeys import LineSetup

NOMINAL = 4800  # the battery voltage under ringing
MOST = 26_500  # hundredths of a volt


class MeterVolts:
    """The lines of one card."""

    def __init__(self, setups: Sequence[LineSetup]) -> None:
        self._open = np.array([[round(setup.on_hook_v * 100)] for setup in setups])
        self._closed = np.array([[round(setup.off_hook_v * 100)] for setup in setups])

    def measured(self, from_ms: int, hook: Bits, ring: Bits, given: I16) -> I16:
        """int16 (lines, n), 0.01 V, from millisecond `from_ms` of the wires on. A line without volts stays so."""
        volts = given.astype(np.int64)
        closed = np.abs(volts) < (self._open + self._closed) / 2
        bounces = (hook != closed) & ~ring & (volts != 0)
        volts = np.where(bounces, np.sign(volts) * np.where(hook, self._closed, self._open), volts)
        if ring.any():
            at_s = np.arange(from_ms, from_ms + volts.shape[1]) / 1000
            swing = SHAKE_PEAK_V * 100 * np.sin(2 * np.pi * RINGING_HZ * at_s) / NOMINAL
            volts = np.clip(np.rint(volts + ring * np.abs(volts) * swing), -MOST, MOST)
        return volts.astype(np.int16)
