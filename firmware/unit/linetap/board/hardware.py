# SPDX-License-Identifier: Apache-2.0
"""Hook inputs and relays of the card on the header, over `RPi.GPIO`.

The level is read whenever periods are requested, every 40 ms. The card lets off-hook through after 39 to 68 ms only, so
what lies between two readings is no call, and RPi.GPIO's own detection of edges wakes 1,650 times a second (decision
0161). No pin carries ringing, polarity or voltage; those are the meter's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from linetap.board.gpio import Gpio, Pwm, begin, claim, explained, releasing
from linetap.board.interface import PERIOD_MS, UNIT_LEDS, Levels
from linetap.board.pins import CardWiring, PinTable
from linetap.config.schema import FULL_PERCENT
from linetap.ring import NO_VOLTS
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import DeviceFault
from linetap_core.records import MeterState

MOST_EDGES = 256  # of a line whose periods nobody requests


class HardwareCard:
    """The card on the header; rows in the order of `Config.lines_of(card)`."""

    behind_ms = 0
    meter: MeterState | None = None

    def __init__(self, gpio: Gpio, wiring: CardWiring, clock: Clock) -> None:
        """Opens all relays first. DeviceFault `gpio_setup` names the pin that cannot be claimed."""
        self._gpio = gpio
        self._wiring = wiring
        self._relay_open = int(not wiring.relay_active_high)
        self._hooks: list[_HookPin] = []
        self._claimed: list[int] = []
        self._clock, self._look_ns = clock, 0
        self._steady: Levels | None = None  # the levels of every period without an edge
        with releasing(self):
            begin(gpio)
            for pin in wiring.relay:
                claim(pin, partial(gpio.setup, pin, gpio.OUT, initial=self._relay_open))
                self._claimed.append(pin)
            pull = gpio.PUD_DOWN if wiring.hook_active_high else gpio.PUD_UP
            for pin in wiring.hook:
                claim(pin, partial(gpio.setup, pin, gpio.IN, pull_up_down=pull))
                self._claimed.append(pin)
                self._hooks.append(_HookPin(gpio, pin, int(wiring.hook_active_high)))

    def levels(self, until_ns: int) -> Levels:
        """The result must not be modified: periods without an edge share one. DeviceFault `gpio_lost` when a pin can no
        longer be read.
        """
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._look_ns:  # periods are requested in groups of four, all of them past
            self._look_ns = now_ns + PERIOD_MS * NS_PER_MS // 2
            for pin in self._hooks:
                with explained(pin.pin):
                    pin.look(now_ns)
        if self._steady is not None and not any(pin.edges for pin in self._hooks):
            return self._steady
        lines = len(self._hooks)
        none = np.zeros((lines, PERIOD_MS), np.bool_)
        hook = none.copy()
        ends = until_ns - NS_PER_MS * np.arange(PERIOD_MS - 1, -1, -1, dtype=np.int64)
        for row, pin in zip(hook, self._hooks, strict=True):
            pin.fill(row, ends)
        levels = Levels(hook, none, none, np.full(lines, NO_VOLTS, np.int16))
        self._steady = levels if (hook == hook[:, -1:]).all() and not any(pin.edges for pin in self._hooks) else None
        return levels

    def relay(self, index: int, closed: bool) -> None:
        """DeviceFault `gpio_lost` when the pin can no longer be driven."""
        pin = self._wiring.relay[index]
        with explained(pin):
            self._gpio.output(pin, self._relay_open ^ int(closed))

    def contact(self, index: int, opened: bool) -> None:  # noqa: ARG002 - only a meter has contacts
        """The header has no free pin: series contacts are commanded through the card's meter."""
        raise DeviceFault("no_contacts", "series contacts are the meter's: card.meter_port is not set")

    def close(self) -> None:
        """Opens the relays, whatever else fails, and releases the pins."""
        for pin in self._claimed:
            if pin in self._wiring.relay:
                with contextlib.suppress(Exception):
                    self._gpio.output(pin, self._relay_open)
        if self._claimed:
            with contextlib.suppress(Exception):
                self._gpio.cleanup(self._claimed)
        self._claimed, self._hooks = [], []


class _HookPin:
    """One input, whose level is turned into milliseconds."""

    def __init__(self, gpio: Gpio, pin: int, active: int) -> None:
        self._gpio, self.pin, self._active = gpio, pin, active
        self.edges: list[tuple[int, bool]] = []  # changes not yet returned, in time order
        self._level = False  # before the first of them
        claim(pin, self._start)

    def _start(self) -> None:
        self._level = self._read()

    def _read(self) -> bool:
        return self._gpio.input(self.pin) == self._active

    def fill(self, row: np.ndarray[Any, np.dtype[np.bool_]], ends: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Sets `row`[k] to the level at `ends`[k] (ns). Edges after the last stay for the next period."""
        if not self.edges:
            row[:] = self._level
            return
        times = np.array([at for at, _ in self.edges], np.int64)
        states = np.array([self._level, *(level for _, level in self.edges)], np.bool_)
        row[:] = states[np.searchsorted(times, ends, side="left")]
        passed = int(np.searchsorted(times, ends[-1], side="left"))
        self._level = bool(states[passed])
        del self.edges[:passed]

    def look(self, now_ns: int) -> None:
        """Reads the level: where it is another one, it has changed now."""
        level = self._read()
        if level != (self.edges[-1][1] if self.edges else self._level):
            self.edges.append((now_ns, level))
            del self.edges[:-MOST_EDGES]


# --- The unit's LEDs and button on the header. A file of its own, so that the panel needs no numpy --------------------


DIMMED_HZ = 200


class HardwarePanel:
    def __init__(self, gpio: Gpio, table: PinTable) -> None:
        """DeviceFault `gpio_setup` names the pin that cannot be claimed."""
        self._gpio = gpio
        self._dark = int(table.led.active == "low")
        self._pins: dict[str, int] = {name: getattr(table.led, name) for name in UNIT_LEDS}
        self._button, self._pressed = table.button.pin, int(table.button.active == "high")
        self._claimed: list[int] = []
        self._percent = FULL_PERCENT
        self._dimmed: dict[int, tuple[Pwm, bool]] = {}  # by pin: its PWM, and whether it is lit
        with releasing(self):
            begin(gpio)
            for pin in self._pins.values():
                claim(pin, partial(gpio.setup, pin, gpio.OUT, initial=self._dark))
                self._claimed.append(pin)
            pull = gpio.PUD_DOWN if self._pressed else gpio.PUD_UP
            claim(self._button, partial(gpio.setup, self._button, gpio.IN, pull_up_down=pull))
            self._claimed.append(self._button)

    def show(self, leds: Mapping[str, bool]) -> None:
        for name, pin in self._pins.items():
            with explained(pin):
                if self._percent == FULL_PERCENT:
                    self._gpio.output(pin, self._dark ^ int(leds[name]))
                else:
                    self._show_dimmed(pin, leds[name])

    def dim(self, percent: int) -> None:
        if percent != self._percent:
            self._percent = percent
            self._stop_dimming()

    def _show_dimmed(self, pin: int, lit: bool) -> None:
        pwm, was_lit = self._dimmed.get(pin, (None, None))
        if lit == was_lit:
            return
        duty = self._percent if lit else 0
        duty = FULL_PERCENT - duty if self._dark else duty
        if pwm is None:
            pwm = self._gpio.PWM(pin, DIMMED_HZ)
            pwm.start(duty)
        else:
            pwm.ChangeDutyCycle(duty)
        self._dimmed[pin] = (pwm, lit)

    def _stop_dimming(self) -> None:
        for pin, (pwm, _) in self._dimmed.items():
            with explained(pin):
                pwm.stop()
        self._dimmed.clear()

    def button(self) -> bool:
        with explained(self._button):
            return self._gpio.input(self._button) == self._pressed

    def close(self) -> None:
        """Dark: an ended panel must not show anything."""
        with contextlib.suppress(DeviceFault):
            self._stop_dimming()
        for pin in self._claimed:
            if pin != self._button:
                with contextlib.suppress(Exception):
                    self._gpio.output(pin, self._dark)
        if self._claimed:
            self._gpio.cleanup(self._claimed)
        self._claimed = []
