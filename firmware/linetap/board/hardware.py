# SPDX-License-Identifier: Apache-2.0
"""Hook inputs and relays of the card on the header, over `RPi.GPIO`.

Edges come late (1 to 7 ms) and some never come, so the callback only notes them and every period reads the level
itself: a lost edge is put right within one period. No pin carries ringing, polarity or voltage; those are the meter's.
"""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from typing import Any

import numpy as np

from linetap.board import PERIOD_MS, Levels
from linetap.board.gpio import Gpio, begin, claim, releasing, told
from linetap.board.pins import CardWiring
from linetap.clock import NS_PER_MS, Clock
from linetap.records import MeterState
from linetap.ring import NO_VOLTS

MOST_EDGES = 256  # a line: more in one period is an open input, and the oldest are of no use


class HardwareCard:
    """The card on the header; rows in the order of `Config.lines_of(card)`."""

    behind_ms = 0
    meter: MeterState | None = None

    def __init__(self, gpio: Gpio, wiring: CardWiring, clock: Clock) -> None:
        """Opens all relays first. DeviceFault `gpio_setup` naming the pin that cannot be had."""
        self._gpio = gpio
        self._wiring = wiring
        self._relay_open = int(not wiring.relay_active_high)
        self._hooks: list[_HookPin] = []
        self._claimed: list[int] = []
        with releasing(self):
            begin(gpio)
            for pin in wiring.relay:
                claim(pin, partial(gpio.setup, pin, gpio.OUT, initial=self._relay_open))
                self._claimed.append(pin)
            pull = gpio.PUD_DOWN if wiring.hook_active_high else gpio.PUD_UP
            for pin in wiring.hook:
                claim(pin, partial(gpio.setup, pin, gpio.IN, pull_up_down=pull))
                self._claimed.append(pin)
                self._hooks.append(_HookPin(gpio, pin, int(wiring.hook_active_high), clock))

    def levels(self, until_ns: int) -> Levels:
        """DeviceFault `gpio_lost` when a pin can no longer be read."""
        lines = len(self._hooks)
        none = np.zeros((lines, PERIOD_MS), np.bool_)
        hook = none.copy()
        ends = until_ns - NS_PER_MS * np.arange(PERIOD_MS - 1, -1, -1, dtype=np.int64)
        for row, pin in zip(hook, self._hooks, strict=True):
            with told(pin.pin):
                pin.fill(row, ends)
        return Levels(hook, none, none, np.full(lines, NO_VOLTS, np.int16))

    def relay(self, index: int, closed: bool) -> None:
        """DeviceFault `gpio_lost` when the pin can no longer be driven."""
        pin = self._wiring.relay[index]
        with told(pin):
            self._gpio.output(pin, self._relay_open ^ int(closed))

    def close(self) -> None:
        """Relays open, however badly the rest goes; then the pins are the kernel's again."""
        for pin in self._claimed:
            if pin in self._wiring.relay:
                with contextlib.suppress(Exception):
                    self._gpio.output(pin, self._relay_open)
        for hook in self._hooks:
            with contextlib.suppress(Exception):
                hook.close()
        if self._claimed:
            with contextlib.suppress(Exception):
                self._gpio.cleanup(self._claimed)
        self._claimed, self._hooks = [], []


class _HookPin:
    """One input: edges as they were noted by the GPIO thread, turned into milliseconds by the caller's.

    The deque is the only thing both threads touch: one appends, the other pops, which CPython does atomically.
    """

    def __init__(self, gpio: Gpio, pin: int, active: int, clock: Clock) -> None:
        self._gpio, self.pin, self._active, self._clock = gpio, pin, active, clock
        self._noted: deque[tuple[int, bool]] = deque(maxlen=MOST_EDGES)
        self._edges: list[tuple[int, bool]] = []  # changes not yet given out, in time order
        self._level = False  # before the first of them
        claim(pin, self._watch)

    def _watch(self) -> None:
        self._level = self._read()
        self._gpio.add_event_detect(self.pin, self._gpio.BOTH, callback=self._note)

    def _read(self) -> bool:
        return self._gpio.input(self.pin) == self._active

    def _note(self, _channel: int) -> None:
        # RPi.GPIO says that there was an edge, not which: by the time it tells, the level may have changed again. What
        # it is now is true now, and a pulse shorter than the delay is shorter than any debounce.
        self._noted.append((self._clock.monotonic_ns(), self._read()))

    def fill(self, row: np.ndarray[Any, np.dtype[np.bool_]], ends: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """`row`[k] = the level at `ends`[k] (ns). Edges after the last stay for the next period."""
        self._collect()
        if not self._edges:
            row[:] = self._level
            return
        times = np.array([at for at, _ in self._edges], np.int64)
        states = np.array([self._level, *(level for _, level in self._edges)], np.bool_)
        row[:] = states[np.searchsorted(times, ends, side="left")]
        passed = int(np.searchsorted(times, ends[-1], side="left"))
        self._level = bool(states[passed])
        del self._edges[:passed]

    def _collect(self) -> None:
        noted: list[tuple[int, bool]] = []
        while self._noted:
            noted.append(self._noted.popleft())
        noted.append((self._clock.monotonic_ns(), self._read()))  # the level itself: edges may have been lost
        last = self._edges[-1][1] if self._edges else self._level
        for at, level in noted:
            if level != last:
                self._edges.append((max(at, self._edges[-1][0] if self._edges else at), level))
                last = level
        del self._edges[:-MOST_EDGES]

    def close(self) -> None:
        self._gpio.remove_event_detect(self.pin)
