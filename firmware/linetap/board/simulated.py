# SPDX-License-Identifier: Apache-2.0
"""A card without a card: levels and relays over `Wires`.

It imitates the meter, which samples every line at 1 kHz: what the exchange puts on a line (bounce, ringing that
shakes the hook comparator, an unplugged line) arrives as it would from one.
"""

from __future__ import annotations

from pathlib import Path

from linetap.board import Levels
from linetap.board.simulated_panel import SimulatedPanel, brightness_shown, leds_shown, press_button
from linetap.board.wires import Wires, wires_path
from linetap.clock import NS_PER_MS
from linetap.records import MeterState

__all__ = ["SimulatedCard", "SimulatedPanel", "Wires", "brightness_shown", "leds_shown", "press_button", "wires_path"]


class SimulatedCard:
    """Lines in the order of `Config.lines_of(card)`. May be up before the exchange: until then all is unplugged."""

    behind_ms = 0
    meter: MeterState | None = None

    def __init__(self, run_dir: Path, card: int, lines: int) -> None:
        """DeviceFault `wires_foreign` when the simulated lines are of another shape."""
        run_dir.mkdir(parents=True, exist_ok=True)
        self._wires = Wires.attach_or_create(wires_path(run_dir, card), lines)
        self._wires.relays[:] = 0

    def levels(self, until_ns: int) -> Levels:
        self._wires.arm(until_ns // NS_PER_MS)
        return self._wires.take(until_ns // NS_PER_MS)

    def relay(self, index: int, closed: bool) -> None:
        self._wires.relays[index] = closed

    def close(self) -> None:
        self._wires.relays[:] = 0
        self._wires.close()
