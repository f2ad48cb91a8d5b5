# SPDX-License-Identifier: Apache-2.0
"""The clocks (RCC), and the wait states of the flash that they require (RM0444, 3.3.4 and 5.2)."""

from __future__ import annotations

from emulator.registers import Misuse, Peripheral

HSI_HZ = 16e6
MOST_HZ = 64e6
OFF = 0.01  # tolerance of nominal frequencies: ST's internal oscillator, a possible source of the 64 MHz, is 1 % off
MOST_HZ_BY_WAITS = (24e6, 48e6, 64e6)  # limit of the core's clock by LATENCY, at the core voltage after reset
PLL_IN_HZ, PLL_VCO_HZ = (2.66e6, 16e6), (96e6, 344e6)
HSI, HSE, PLL = 0, 1, 2  # values of SW
PLL_FROM_HSI, PLL_FROM_HSE = 2, 3


class Clocks(Peripheral):
    """`oscillator_hz`: frequency at OSC_IN; None if there is no oscillator."""

    def __init__(self, flash: Peripheral, oscillator_hz: float | None) -> None:
        self.flash, self.oscillator_hz = flash, oscillator_hz
        super().__init__("RCC")

    def reset(self) -> None:
        super().reset()
        self.core_hz = self.bus_hz = self.timer_hz = HSI_HZ

    def on_read(self, register: str) -> int:
        if register == "CR":
            self.put("CR", "HSIRDY", self.field("CR", "HSION"))
            self.put("CR", "HSERDY", self.field("CR", "HSEON") and self.oscillator_hz is not None)
            self.put("CR", "HSI48RDY", self.field("CR", "HSI48ON"))
            self.put("CR", "PLLRDY", self.field("CR", "PLLON") and self._pll_in() is not None)
        return self.values[register]

    def on_write(self, register: str, value: int) -> None:
        if register == "PLLCFGR" and self.field("CR", "PLLON"):
            raise Misuse("RCC_PLLCFGR is written while the PLL runs")
        self.values[register] = value
        if register in ("CR", "CFGR", "PLLCFGR"):
            self.follow()

    def follow(self) -> None:
        """Recalculates the clocks after a change of any setting they depend on."""
        hertz = self._source(self.field("CFGR", "SW"))
        if hertz is not None:
            self.put("CFGR", "SWS", self.field("CFGR", "SW"))
        else:
            hertz = self._source(self.field("CFGR", "SWS"))
        if hertz is None:
            raise Misuse("the clock that the core runs from has been turned off")
        ahb, apb = self.field("CFGR", "HPRE"), self.field("CFGR", "PPRE")
        self.core_hz = hertz / (1 if ahb < 8 else (2, 4, 8, 16, 64, 128, 256, 512)[ahb - 8])
        self.bus_hz = self.core_hz / (1 if apb < 4 else 2 ** (apb - 3))
        self.timer_hz = self.bus_hz * (1 if apb < 4 else 2)
        waits = self.flash.field("ACR", "LATENCY")
        if self.core_hz > min(MOST_HZ, MOST_HZ_BY_WAITS[min(waits, 2)]) * (1 + OFF):
            raise Misuse(f"the core runs at {self.core_hz / 1e6:g} MHz with {waits} wait states of the flash")

    def usb_runs(self) -> bool:
        """Whether USB is clocked by the part's own 48 MHz, the only modelled choice of CCIPR2."""
        return bool(self.field("CR", "HSI48ON")) and self.field("CCIPR2", "USBSEL") == 0

    def _source(self, which: int) -> float | None:
        if which == HSI:
            return HSI_HZ / 2 ** self.field("CR", "HSIDIV") if self.field("CR", "HSION") else None
        if which == HSE:
            return self._outside()
        if which != PLL:
            raise Misuse(f"RCC_CFGR: clock {which} is not modelled")
        return self._pll() if self.field("CR", "PLLON") and self.field("PLLCFGR", "PLLREN") else None

    def _outside(self) -> float | None:
        return self.oscillator_hz if self.field("CR", "HSEON") else None

    def _pll_in(self) -> float | None:
        source = self.field("PLLCFGR", "PLLSRC")
        if source == PLL_FROM_HSE:
            return self._outside()
        return HSI_HZ if source == PLL_FROM_HSI else None

    def _pll(self) -> float | None:
        hertz = self._pll_in()
        if hertz is None:
            return None
        into = hertz / (self.field("PLLCFGR", "PLLM") + 1)
        vco = into * self.field("PLLCFGR", "PLLN")
        if not PLL_IN_HZ[0] <= into <= PLL_IN_HZ[1] or not PLL_VCO_HZ[0] <= vco <= PLL_VCO_HZ[1]:
            raise Misuse(f"the PLL has {into / 1e6:g} MHz and makes {vco / 1e6:g} MHz of it")
        return vco / (self.field("PLLCFGR", "PLLR") + 1)
