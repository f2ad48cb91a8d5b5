# SPDX-License-Identifier: Apache-2.0
"""The part's ADC (RM0444, 15): one sequence at a time, each result read before the next conversion."""

from __future__ import annotations

from collections.abc import Callable
from math import floor

import numpy as np

from emulator.clocks import HSI_HZ, Clocks
from emulator.pins import ANALOG, Port
from emulator.registers import Misuse, Peripheral
from emulator.timers import Time

REGULATOR_NS = 20_000
MOST_HZ = 35e6
CODES = 4096
CALIBRATION_CYCLES, READY_CYCLES = 82, 4
SETTLES_CYCLES = 4  # after calibration ADEN is ignored so long: 15.3.3, from memory; ST's own drivers wait 2 and more
SAMPLED_CYCLES = (1.5, 3.5, 7.5, 12.5, 19.5, 39.5, 79.5, 160.5)
CONVERTED_CYCLES = 12.5
TEMPERATURE = 12
PINS = {**{n: ("GPIOA", n) for n in range(8)}, 8: ("GPIOB", 0), 9: ("GPIOB", 1), 10: ("GPIOB", 2), 11: ("GPIOB", 10)}

Inputs = Callable[[int, int], float]  # (channel, ns) -> the pin's voltage as a share of VREF+


class Converter(Peripheral):
    def __init__(self, time: Time, clocks: Clocks, ports: dict[str, Port], inputs: Inputs, seed: int = 1) -> None:
        self._time, self._clocks, self._ports, self.inputs = time, clocks, ports, inputs
        self._noise = np.random.default_rng(seed)
        super().__init__("ADC")

    def reset(self) -> None:
        super().reset()
        self._regulated_ns: int | None = None
        self._calibrated_ns = self._ready_ns = -1  # -1: not calibrated, not ready
        self._left: list[int] = []  # channels left in the sequence; the first is being converted or unread
        self._done_ns = 0

    def hertz(self) -> float:
        mode = self.field("CFGR2", "CKMODE")
        if mode:
            hertz = self._clocks.bus_hz / (2, 4, 1)[mode - 1]
        else:
            source = self._clocks.field("CCIPR", "ADCSEL")
            if source == 1:
                raise Misuse("the converter's clock from the PLL's output P is not modelled")
            prescaler = (1, 2, 4, 6, 8, 10, 12, 16, 32, 64, 128, 256)[self.field("CCR", "PRESC")]
            hertz = (self._clocks.core_hz, 0.0, HSI_HZ)[source] / prescaler
        if hertz > MOST_HZ:
            raise Misuse(f"the converter runs at {hertz / 1e6:g} MHz of at most {MOST_HZ / 1e6:g}")
        return hertz

    def on_read(self, register: str) -> int:
        now = self._time.ns
        if register == "ISR":
            found = self._flags(now)
            if self._left and now < self._done_ns:
                self._time.ns = self._done_ns  # a polling program would poll until the conversion is done
            return found
        if register == "CR":
            if self.field("CR", "ADCAL") and now >= self._calibrated_ns:
                self.put("CR", "ADCAL", 0)
                self._calibrated_ns = now  # a polling program sees the end of calibration at once
            elif self.field("CR", "ADCAL"):
                self._time.ns = self._calibrated_ns
        if register == "DR":
            return self._take(now)
        return self.values[register]

    def on_write(self, register: str, value: int) -> None:
        if register == "ISR":
            self.values["ISR"] &= ~value  # clears the flags, CCRDY and ADRDY among them
        elif register == "CR":
            self._command(value)
        elif register in ("CHSELR", "CFGR1", "CFGR2", "SMPR") and self.field("CR", "ADSTART"):
            raise Misuse(f"ADC_{register} is written while it converts")
        elif register == "CFGR2" and self.field("CR", "ADEN"):
            raise Misuse("ADC_CFGR2 is written while the converter is enabled")
        else:
            self.values[register] = value
            if register == "CHSELR":
                self.put("ISR", "CCRDY", 1)

    def _cycles_ns(self, cycles: float) -> int:
        return round(cycles / self.hertz() * 1e9)

    def _flags(self, now: int) -> int:
        self.put("ISR", "EOC", bool(self._left) and now >= self._done_ns)
        if 0 <= self._ready_ns <= now:
            self.put("ISR", "ADRDY", 1)
            self._ready_ns = -1
        return self.values["ISR"]

    def _command(self, value: int) -> None:
        now, before = self._time.ns, self.values["CR"]
        self.values["CR"] |= value
        new = self.values["CR"] & ~before
        names = {name for name, (bit, _) in self.layout.registers["CR"].fields.items() if new >> bit & 1}
        if "ADVREGEN" in names:
            self._regulated_ns = now
        if names - {"ADVREGEN"} and (self._regulated_ns is None or now - self._regulated_ns < REGULATOR_NS):
            raise Misuse("the converter is used before its regulator has settled")
        if "ADCAL" in names:
            if self.field("CR", "ADEN"):
                raise Misuse("the converter is calibrated while it is enabled")
            self._calibrated_ns = now + self._cycles_ns(CALIBRATION_CYCLES)
        if "ADEN" in names:
            if self._calibrated_ns < 0:
                raise Misuse("the converter is enabled before it was calibrated")
            if self.field("CR", "ADCAL") or now < self._calibrated_ns + self._cycles_ns(SETTLES_CYCLES):
                self.put("CR", "ADEN", 0)  # too early: ignored
            else:
                self._ready_ns = now + self._cycles_ns(READY_CYCLES)
        if "ADSTART" in names:
            self._start(now)
        if names & {"ADDIS", "ADSTP"}:
            raise Misuse("stopping the converter is not modelled")

    def _start(self, now: int) -> None:
        if not self.field("CR", "ADEN"):
            self.put("CR", "ADSTART", 0)  # not enabled: no conversion starts
            return
        if self.values["CFGR1"] & ~(1 << 14 | 1 << 2):
            raise Misuse(f"ADC_CFGR1: {self.values['CFGR1']:#x} is not modelled")
        chosen = [n for n in range(19) if self.values["CHSELR"] >> n & 1]
        if self.field("CFGR1", "SCANDIR"):
            chosen.reverse()
        if len(chosen) > 1 and not self.field("CFGR1", "WAIT"):
            raise Misuse("a sequence whose results are not waited for is not modelled")
        self._left = chosen
        self._next(now)

    def _next(self, now: int) -> None:
        times = 2 ** (self.field("CFGR2", "OVSR") + 1) if self.field("CFGR2", "OVSE") else 1
        one = SAMPLED_CYCLES[self.field("SMPR", "SMP1")] + CONVERTED_CYCLES
        self._done_ns = now + self._cycles_ns(times * one)

    def _take(self, now: int) -> int:
        """Reads the data register; before a new result is there, the previous one is returned again."""
        if not self._left or now < self._done_ns:
            return self.values["DR"]
        channel = self._left.pop(0)
        self.values["DR"] = self._result(channel)
        if self._left:
            self._next(now)
        else:
            self.put("CR", "ADSTART", 0)
        return self.values["DR"]

    def _result(self, channel: int) -> int:
        if channel in PINS:
            port, pin = PINS[channel]
            if self._ports[port].mode(pin) != ANALOG:
                raise Misuse(f"channel {channel} is converted while its pin {port}{pin} is digital")
            share = self.inputs(channel, self._done_ns)
        elif channel == TEMPERATURE and self.field("CCR", "TSEN"):
            share = 0.25 + self._noise.normal(0, 0.001)
        else:
            raise Misuse(f"channel {channel} of the converter is not modelled, or not turned on")
        code = min(CODES - 1, max(0, floor(share * CODES + 0.5)))
        if not self.field("CFGR2", "OVSE"):
            return code
        return (code << self.field("CFGR2", "OVSR") + 1 >> self.field("CFGR2", "OVSS")) & 0xFFFF
