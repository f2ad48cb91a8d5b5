# SPDX-License-Identifier: Apache-2.0
"""A card without a card and without a meter: levels and relays over `Wires`.

It imitates a meter all the same, which samples every line at 1 kHz: what the exchange puts on a line (bounce, ringing
that shakes the hook comparator, an unplugged line) arrives as it would from one. Ringing is as late as the detector of
the drawing is at worst, and as late over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.board.frontend import RING_OVER_MS, RING_SEEN_MS
from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.simulated_panel import SimulatedPanel, brightness_shown, leds_shown, press_button
from linetap.board.wires import Wires, wires_path
from linetap.ring import Bits
from linetap_core import rooms
from linetap_core.clock import NS_PER_MS
from linetap_core.records import MeterState

__all__ = ["SimulatedCard", "SimulatedPanel", "Wires", "brightness_shown", "leds_shown", "press_button", "wires_path"]

_SEEN_MS, _OVER_MS = round(RING_SEEN_MS.high), round(RING_OVER_MS.high)


def lasted_ms(levels: Bits) -> npt.NDArray[np.int64]:
    """For how many milliseconds each level (lines, n) has been on by then; 0 where it is off."""
    ms = np.arange(1, levels.shape[1] + 1)
    since: npt.NDArray[np.int64] = ms - np.maximum.accumulate(np.where(levels, 0, ms), axis=1)
    return since


class SimulatedCard:
    """Lines in the order of `Config.lines_of(card)`. May be up before the exchange: until then all is unplugged."""

    behind_ms = 0
    meter: MeterState | None = None

    def __init__(self, run_dir: Path, card: int, lines: int) -> None:
        """DeviceFault `wires_foreign` when the simulated lines are of another shape."""
        rooms.enter(run_dir, "capture")
        self._wires = Wires.attach_or_create(wires_path(run_dir, card), lines)
        self._wires.relays[:] = 0

    def levels(self, until_ns: int) -> Levels:
        until_ms = until_ns // NS_PER_MS
        self._wires.arm(until_ms)
        levels = self._wires.take(until_ms)
        return Levels(levels.hook, self._detected(until_ms), levels.polarity, levels.volts)

    def _detected(self, until_ms: int) -> Bits:
        """Ringing that has lasted for _SEEN_MS, and _OVER_MS beyond its end: bool (lines, PERIOD_MS)."""
        _, ring, _, _ = self._wires.samples(until_ms, PERIOD_MS + _OVER_MS + _SEEN_MS)
        if not ring.any():
            return ring[:, -PERIOD_MS:]
        ms = np.arange(1, ring.shape[1] + 1)
        lasts = lasted_ms(ring) > _SEEN_MS
        last = np.maximum.accumulate(np.where(lasts, ms, -_OVER_MS - 1), axis=1)
        found: Bits = (ms - last <= _OVER_MS)[:, -PERIOD_MS:]
        return found

    def relay(self, index: int, closed: bool) -> None:
        self._wires.relays[index] = closed

    def close(self) -> None:
        self._wires.relays[:] = 0
        self._wires.close()
