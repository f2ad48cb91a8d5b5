# SPDX-License-Identifier: Apache-2.0
"""One GPIO port of the part (RM0444, 7)."""

from __future__ import annotations

from collections import deque

from emulator.registers import Peripheral
from emulator.timers import Time

INPUT, OUTPUT, OTHER, ANALOG = range(4)  # values of MODER
MOST_CHANGES = 100_000


class Port(Peripheral):
    """`levels`: the levels applied to its inputs; `changes`: (ns, levels that the port drives)."""

    def __init__(self, name: str, time: Time) -> None:
        self._time = time
        self.levels = 0xFFFF
        self.changes: deque[tuple[int, int]] = deque(maxlen=MOST_CHANGES)
        super().__init__(name)

    def reset(self) -> None:
        """Releases every pin."""
        super().reset()
        if self.changes and self.changes[-1][1]:
            self.changes.append((self._time.ns, 0))

    def mode(self, pin: int) -> int:
        return self.values["MODER"] >> 2 * pin & 3

    def driven(self) -> int:
        """The outputs that are high."""
        return self.values["ODR"] & sum(1 << pin for pin in range(16) if self.mode(pin) == OUTPUT)

    def on_read(self, register: str) -> int:
        if register == "IDR":
            outputs = sum(1 << pin for pin in range(16) if self.mode(pin) == OUTPUT)
            analog = sum(1 << pin for pin in range(16) if self.mode(pin) == ANALOG)
            return (self.values["ODR"] & outputs) | (self.levels & ~outputs & ~analog)
        return 0 if register in ("BSRR", "BRR") else self.values[register]

    def on_write(self, register: str, value: int) -> None:
        before = self.driven()
        if register == "BSRR":
            self.values["ODR"] = (self.values["ODR"] & ~(value >> 16)) | (value & 0xFFFF)  # setting wins
        elif register == "BRR":
            self.values["ODR"] &= ~value
        elif register != "IDR":
            self.values[register] = value
        if self.driven() != before:
            self.changes.append((self._time.ns, self.driven()))
