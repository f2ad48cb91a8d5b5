# SPDX-License-Identifier: Apache-2.0
"""A simulated card: levels and relays over `Wires`, without hardware and without a meter.

The card samples every line at 1 kHz like a meter, so the exchange's effects on a line (bounce, ringing that disturbs
the hook bit, an unplugged line) arrive as from a meter. Ringing is detected and released with a meter's delay.
`SimulatedArm` is the arm line of a card with a simulated meter.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.board.interface import PERIOD_MS, UNIT_LEDS, Levels
from linetap.board.wires import Wires, wires_path
from linetap.config.schema import FULL_PERCENT
from linetap.ring import Bits
from linetap_core import rundir
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.records import MeterState

__all__ = ["SimulatedCard", "SimulatedPanel", "Wires", "brightness_shown", "leds_shown", "press_button", "wires_path"]

_SEEN_MS = _OVER_MS = 70  # those of a meter on the drawing's line (tests/hardware/test_meter_drawing.py)


def lasted_ms(levels: Bits) -> npt.NDArray[np.int64]:
    """Returns for each level (lines, n) the milliseconds since when it is on; 0: it is off."""
    ms = np.arange(1, levels.shape[1] + 1)
    since: npt.NDArray[np.int64] = ms - np.maximum.accumulate(np.where(levels, 0, ms), axis=1)
    return since


class SimulatedCard:
    """The card; lines in the order of `Config.lines_of(card)`. Before the exchange starts, every line is unplugged."""

    behind_ms = 0
    meter: MeterState | None = None

    def __init__(self, run_dir: Path, card: int, lines: int) -> None:
        """DeviceFault `wires_foreign` if the simulated lines have another shape."""
        rundir.make_service_folder(run_dir, "capture")
        self._wires = Wires.attach_or_create(wires_path(run_dir, card), lines)
        self._wires.relays[:] = 0
        self._wires.contacts[:] = 0
        self._opened = np.zeros(lines, np.bool_)
        self._now_ms = 0

    def levels(self, until_ns: int) -> Levels:
        until_ms = self._now_ms = until_ns // NS_PER_MS
        self._wires.arm(until_ms)
        self._wires.contacts[self._opened] = until_ms
        levels = self._wires.take(until_ms)
        return Levels(levels.hook, self._detected(until_ms), levels.polarity, levels.volts)

    def _detected(self, until_ms: int) -> Bits:
        """The detected ringing, bool (lines, PERIOD_MS): from _SEEN_MS after its start to _OVER_MS after its end."""
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

    def contact(self, index: int, opened: bool) -> None:
        self._opened[index] = opened
        self._wires.contacts[index] = self._now_ms if opened else 0

    def close(self) -> None:
        self._wires.relays[:] = 0
        self._wires.contacts[:] = 0
        self._wires.close()


class SimulatedArm:
    """The arm line beside a simulated meter: its signal in the wires, without which no driven relay is closed."""

    def __init__(self, run_dir: Path, card: int, lines: int, clock: Clock) -> None:
        """DeviceFault `wires_foreign` if the simulated lines have another shape."""
        rundir.make_service_folder(run_dir, "capture")
        self._wires, self._clock = Wires.attach_or_create(wires_path(run_dir, card), lines), clock

    def beat(self) -> None:
        self._wires.arm(self._clock.monotonic_ns() // NS_PER_MS)

    def close(self) -> None:
        self._wires.close()


# --- LEDs and the button as a few bytes on tmpfs ----------------------------------------------------------------------


_BUTTON = len(UNIT_LEDS)
_DARKER = _BUTTON + 1  # percent below full brightness
_BYTES = _DARKER + 1


class SimulatedPanel:
    """The panel: five bytes on tmpfs for run, call, fault, button, brightness."""

    def __init__(self, run_dir: Path) -> None:
        rundir.make_service_folder(run_dir, "panel")
        try:
            self._bytes = _panel_bytes(run_dir)
        except OSError:  # like hardware's LEDs, a panel needs no tmpfs: its LEDs are then invisible
            self._bytes = mmap.mmap(-1, _BYTES)

    def show(self, leds: Mapping[str, bool]) -> None:
        for i, name in enumerate(UNIT_LEDS):
            self._bytes[i] = leds[name]

    def dim(self, percent: int) -> None:
        self._bytes[_DARKER] = FULL_PERCENT - percent

    def button(self) -> bool:
        return self._bytes[_BUTTON] != 0

    def close(self) -> None:
        """Turns all LEDs off: an ended panel must show nothing."""
        for i in range(len(UNIT_LEDS)):
            self._bytes[i] = 0
        self._bytes.close()


def leds_shown(run_dir: Path) -> dict[str, bool]:
    """Returns the present state of the simulated LEDs, blinking included."""
    try:
        memory = _panel_bytes(run_dir)
    except FileNotFoundError:  # the panel has not made its folder yet
        return dict.fromkeys(UNIT_LEDS, False)
    try:
        return {name: memory[i] != 0 for i, name in enumerate(UNIT_LEDS)}
    finally:
        memory.close()


def brightness_shown(run_dir: Path) -> int:
    """The brightness in percent."""
    memory = _panel_bytes(run_dir)
    try:
        return FULL_PERCENT - memory[_DARKER]
    finally:
        memory.close()


def press_button(run_dir: Path, pressed: bool) -> None:
    memory = _panel_bytes(run_dir)
    memory[_BUTTON] = pressed
    memory.close()


def _panel_bytes(run_dir: Path) -> mmap.mmap:
    fd = os.open(rundir.service_folder(run_dir, "panel") / "panel.leds", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        os.posix_fallocate(fd, 0, _BYTES)
        return mmap.mmap(fd, _BYTES)
    finally:
        os.close(fd)
