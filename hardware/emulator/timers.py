# SPDX-License-Identifier: Apache-2.0
"""The part's time, its timer TIM2 (RM0444, 22) and its watchdog IWDG (28)."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.clocks import Clocks
from emulator.registers import Misuse, Peripheral

LSI_HZ = 32_000
STARTS, UNLOCKS, FEEDS = 0xCCCC, 0x5555, 0xAAAA


@dataclass
class Time:
    """Time in nanoseconds since the part was powered."""

    ns: int = 0


class Timer(Peripheral):
    """Counts upwards. A new prescaler is used from the next update on."""

    def __init__(self, time: Time, clocks: Clocks) -> None:
        self._time, self._clocks = time, clocks
        super().__init__("TIM2")

    def reset(self) -> None:
        super().reset()
        self._prescaler, self._count, self._since_ns, self._hz = 0, 0.0, self._time.ns, 0.0

    def on_read(self, register: str) -> int:
        if register == "CNT":
            self.follow()
            return int(self._count)
        return self.values[register]

    def on_write(self, register: str, value: int) -> None:
        self.follow()
        self.values[register] = value
        if register == "EGR" and value & 1:
            self._prescaler, self._count = self.values["PSC"], 0.0
        elif register == "CNT":
            self._count = value
        elif register == "CR1" and value & ~1:
            raise Misuse(f"TIM2_CR1: {value:#x} is not modelled")
        self.follow()

    def follow(self) -> None:
        """Updates the count to now, and uses the present clock rate from here."""
        self._count += (self._time.ns - self._since_ns) * self._hz / 1e9
        self._since_ns = self._time.ns
        top = self.values["ARR"] + 1
        if self._count >= top:
            self._count %= top
            self._prescaler = self.values["PSC"]
        self._hz = self._clocks.timer_hz / (self._prescaler + 1) if self.values["CR1"] & 1 else 0.0


class Watchdog(Peripheral):
    def __init__(self, time: Time) -> None:
        self._time = time
        super().__init__("IWDG")

    def reset(self) -> None:
        super().reset()
        self._fed_ns: int | None = None  # None: not started
        self._open = False
        self.longest_ns = 0  # longest time between two feeds

    def on_read(self, register: str) -> int:
        return 0 if register == "KR" else self.values[register]  # SR: all written values are already in effect

    def on_write(self, register: str, value: int) -> None:
        if register == "KR":
            self._open = value == UNLOCKS
            if value == FEEDS or (value == STARTS and self._fed_ns is None):
                if self._fed_ns is not None:
                    self.longest_ns = max(self.longest_ns, self._time.ns - self._fed_ns)
                if self._fed_ns is not None or value == STARTS:
                    self._fed_ns = self._time.ns
        elif not self._open:
            raise Misuse(f"IWDG_{register} is written before its key")
        else:
            self.values[register] = value

    def bites(self) -> bool:
        if self._fed_ns is None:
            return False
        allowed = (self.values["RLR"] + 1) * (4 << min(self.values["PR"], 6)) / LSI_HZ
        return self._time.ns - self._fed_ns > allowed * 1e9
