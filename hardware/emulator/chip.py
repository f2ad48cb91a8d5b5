# SPDX-License-Identifier: Apache-2.0
"""The part: core, memory map of the peripherals, and time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emulator.clocks import Clocks
from emulator.converter import Converter, Inputs
from emulator.core import FLASH, FLASH_BYTES, Core
from emulator.flash import Flash
from emulator.pins import Port
from emulator.registers import Misuse, Peripheral, table
from emulator.timers import Time, Timer, Watchdog
from emulator.twowire import TwoWire
from emulator.usb import MEMORY_BYTES, Usb

SLICE = 800  # instructions between two checks for interrupts and the host
CYCLES_AN_INSTRUCTION = 1.5
ACCESS_NS, POLL_NS, TIMER_POLL_NS = 40, 100, 20_000  # repeated reads of one register are counted as polling
NVIC, SYSTEM = 0xE000E100, 0xE000ED00
ENABLE, DISABLE = 0x000, 0x080  # offsets of NVIC
VECTORS, RESETS = 0x008, 0x00C  # offsets of SYSTEM
RESET_WORD = 0x05FA0004
OSCILLATOR_HZ = 8e6


class Chip:
    """The part. `inputs`: the pins measured by the converter. `world` is called after each slice and simulates the
    surroundings.
    """

    def __init__(self, elf: Path, inputs: Inputs, oscillator_hz: float | None = OSCILLATOR_HZ) -> None:
        self.time = Time()
        self.flash = Flash(self.time)
        self.clocks = Clocks(self.flash, oscillator_hz)
        self.flash.clocks = self.clocks
        self.ports = {name: Port(name, self.time) for name in ("GPIOA", "GPIOB", "GPIOC")}
        self.timer = Timer(self.time, self.clocks)
        self.watchdog = Watchdog(self.time)
        self.power = Peripheral("PWR")
        self.recovery = Peripheral("CRS")
        self.usb = Usb(self._usb_runs)
        self.converter = Converter(self.time, self.clocks, self.ports, inputs)
        self.wire = TwoWire(self.time, self.clocks, self.ports["GPIOB"])
        self.peripherals: list[Peripheral] = [
            self.flash, self.clocks, *self.ports.values(), self.timer, self.watchdog, self.power, self.recovery,
            self.usb, self.converter, self.wire,
        ]  # fmt: skip
        self._at = {  # with the register and bit that clock it
            at: (each, name, clock and (clock[0], self.clocks.mask(*clock)))
            for each in self.peripherals
            for clock in [each.layout.clock]
            for at, name in each.addresses()
        }
        self._packets = table()["packet_memory"]
        self._usb_vector = 16 + table()["usb_interrupt"]
        self._enabled, self._vectors, self._asked_reset = 0, FLASH, False
        self._begins = FLASH
        self._asked: set[int] = set()  # addresses read since the last write
        self.resets = 0  # by watchdog or program
        self.world: Callable[[], None] = lambda: None
        self.core = Core(self._read, self._write)
        self.flash.memory = self.core
        self._begins = self.core.load(elf)
        self._reset_core()

    def run(self, until_ns: int) -> None:
        while self.time.ns < until_ns:
            if self._interrupts() and self.core.free():
                self.core.enter(self._usb_vector, self._vectors)
            self.core.run(SLICE)
            self.time.ns += round(SLICE * CYCLES_AN_INSTRUCTION / self.clocks.core_hz * 1e9)
            self.timer.follow()
            if self._asked_reset or self.watchdog.bites():
                self._reset()
            self.world()

    def _reset(self) -> None:
        self.resets += 1
        self._enabled, self._asked_reset = 0, False
        for each in self.peripherals:
            each.reset()
        self._reset_core()

    def _reset_core(self) -> None:
        """Starts the core at the flash's beginning; a program without its loader is started as the loader would start
        it.
        """
        self._vectors = self._begins
        self.core.reset(self._begins)

    def _interrupts(self) -> bool:
        return bool(self._enabled >> self._usb_vector - 16 & 1) and self.usb.interrupts()

    def _usb_runs(self) -> bool:
        return self.clocks.usb_runs() and bool(self.power.field("CR2", "USV"))

    def _peripheral(self, at: int, size: int) -> tuple[Peripheral, str]:
        found = self._at.get(at)
        if found is None:
            raise Misuse(f"the program asks for {at:#x} (at {self.core.pc:#x} or soon after): not modelled")
        peripheral, name, enabled = found
        if size != 4 and not peripheral.layout.name.startswith("GPIO"):
            raise Misuse(f"{peripheral.layout.name}_{name} is asked for {size} bytes; it has a word")
        if enabled is not None and not self.clocks.values[enabled[0]] & enabled[1]:
            register, bit = peripheral.layout.clock or ("", "")
            raise Misuse(f"{peripheral.layout.name}_{name} is asked for before RCC_{register} has {bit}")
        return peripheral, name

    def _read(self, at: int, size: int) -> int:
        again = at in self._asked
        self._asked.add(at)
        if self._packets <= at < self._packets + MEMORY_BYTES:
            return self.usb.read_memory(at - self._packets, size)
        if at >= NVIC:
            return self._system_read(at)
        peripheral, name = self._peripheral(at, size)
        poll_ns = TIMER_POLL_NS if peripheral is self.timer else POLL_NS
        self.time.ns += poll_ns if again else ACCESS_NS
        return peripheral.on_read(name)

    def _write(self, at: int, size: int, value: int) -> None:
        self._asked.clear()
        if self._packets <= at < self._packets + MEMORY_BYTES:
            self.usb.write_memory(at - self._packets, size, value)
        elif FLASH <= at < FLASH + FLASH_BYTES:
            self.flash.on_word(at, size, value)
        elif at >= NVIC:
            self._system_write(at, value)
        else:
            self.time.ns += ACCESS_NS
            peripheral, name = self._peripheral(at, size)
            peripheral.write(name, value)

    def _system_read(self, at: int) -> int:
        known = {NVIC + ENABLE: self._enabled, NVIC + DISABLE: self._enabled, SYSTEM + VECTORS: self._vectors}
        if at not in known:
            raise Misuse(f"the program asks for {at:#x}: not modelled")
        return known[at]

    def _system_write(self, at: int, value: int) -> None:
        if at == NVIC + ENABLE:
            self._enabled |= value
            if self._interrupts():
                self.core.stop()  # a pending interrupt is handled at once
        elif at == NVIC + DISABLE:
            self._enabled &= ~value
        elif at == SYSTEM + VECTORS:
            self._vectors = value
        elif at == SYSTEM + RESETS and value == RESET_WORD:
            self._asked_reset = True
            self.core.stop()
        else:
            raise Misuse(f"the program writes {value:#x} to {at:#x}: not modelled")
