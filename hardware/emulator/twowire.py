# SPDX-License-Identifier: Apache-2.0
"""The part's I2C1 as a master (RM0444, 32), and its slaves: registers behind 7-bit addresses."""

from __future__ import annotations

from emulator.clocks import Clocks
from emulator.pins import OTHER, Port
from emulator.registers import Misuse, Peripheral
from emulator.timers import Time

SCL, SDA, ALTERNATE = 6, 7, 6  # PB6, PB7 and their function
TXIS, RXNE, NACKF, STOPF, TC = 1, 2, 4, 5, 6  # bits of ISR
FASTEST_HZ = 100e3  # limit of the slaves, in standard mode


class Slave:
    """A slave with 128 registers, like each page of a PCM1865: the first byte sets the address."""

    def __init__(self) -> None:
        self.registers = bytearray(128)
        self._at: int | None = None

    def started(self, reads: bool) -> None:
        if not reads:
            self._at = None

    def write(self, value: int) -> None:
        if self._at is None:
            self._at = value & 127
        else:
            self.registers[self._at] = value
            self._at = (self._at + 1) & 127

    def read(self) -> int:
        at = self._at or 0
        self._at = (at + 1) & 127
        return self.registers[at]


class TwoWire(Peripheral):
    def __init__(self, time: Time, clocks: Clocks, port: Port) -> None:
        self._time, self._clocks, self._port = time, clocks, port
        self.slaves: dict[int, Slave] = {}
        super().__init__("I2C1")

    def reset(self) -> None:
        super().reset()
        self._due: list[tuple[int, int]] = []  # ns, and the bit of ISR that is set then
        self._left, self._slave = 0, Slave()

    def on_read(self, register: str) -> int:
        self._follow()
        if register == "RXDR":
            self.values["ISR"] &= ~(1 << RXNE)
            if self._left:
                self._byte_comes()
        return self.values[register]

    def on_write(self, register: str, value: int) -> None:
        self._follow()
        if register == "ICR":
            self.values["ISR"] &= ~value
        elif register == "TIMINGR" and self.field("CR1", "PE"):
            raise Misuse("I2C1_TIMINGR is written while I2C1 is on")
        elif register == "TXDR":
            self._byte_goes(value & 0xFF)
        else:
            self.values[register] = value
        if register == "CR1" and not value & 1:
            self.reset_bus()
        if register == "CR2" and value & 1 << 13:
            self._start()

    def reset_bus(self) -> None:
        """Clears PE: flags and transfer are reset, the settings stay (32.4.6)."""
        self._due.clear()
        self._left = 0
        self.values["ISR"] = self.layout.registers["ISR"].reset

    def _follow(self) -> None:
        while self._due and self._due[0][0] <= self._time.ns:
            self.values["ISR"] |= 1 << self._due.pop(0)[1]

    def _bits_ns(self, bits: int) -> int:
        return round(bits / self._hertz() * 1e9)

    def _hertz(self) -> float:
        low, high = self.field("TIMINGR", "SCLL") + 1, self.field("TIMINGR", "SCLH") + 1
        hertz = self._clocks.bus_hz / (self.field("TIMINGR", "PRESC") + 1) / (low + high)
        if hertz > 1.2 * FASTEST_HZ:  # without rise and fall times, which slow it down
            raise Misuse(f"the bus of two wires runs at {hertz / 1e3:.0f} kHz")
        return hertz

    def _start(self) -> None:
        if not self.field("CR1", "PE"):
            return
        for pin in (SCL, SDA):
            function = self._port.values["AFRL"] >> 4 * pin & 15
            if (self._port.mode(pin), function) != (OTHER, ALTERNATE) or not self._port.values["OTYPER"] >> pin & 1:
                raise Misuse(f"PB{pin} is not I2C1's, or not an open drain")
        self.put("CR2", "START", 0)
        self.values["ISR"] &= ~(1 << TC)
        reads, address = bool(self.field("CR2", "RD_WRN")), self.field("CR2", "SADD") >> 1
        addressed_ns = self._time.ns + self._bits_ns(10)
        self._left = self.field("CR2", "NBYTES")
        if address not in self.slaves:
            self._due += [(addressed_ns, NACKF), (addressed_ns + self._bits_ns(1), STOPF)]
            self._left = 0
            return
        self._slave = self.slaves[address]
        self._slave.started(reads)
        if reads:
            self.values["RXDR"] = self._slave.read()
            self._left -= 1
            self._due.append((addressed_ns + self._bits_ns(9), RXNE))
            self._end(addressed_ns + self._bits_ns(9))
        else:
            self._due.append((addressed_ns, TXIS))

    def _byte_goes(self, value: int) -> None:
        if not self.values["ISR"] >> TXIS & 1 or not self._left:
            raise Misuse("I2C1_TXDR is written while no byte is wanted")
        self.values["ISR"] &= ~(1 << TXIS)
        self._slave.write(value)
        self._left -= 1
        sent_ns = self._time.ns + self._bits_ns(9)
        if self._left:
            self._due.append((sent_ns, TXIS))
        self._end(sent_ns)

    def _byte_comes(self) -> None:
        self.values["RXDR"] = self._slave.read()
        self._left -= 1
        came_ns = self._time.ns + self._bits_ns(9)
        self._due.append((came_ns, RXNE))
        self._end(came_ns)

    def _end(self, ns: int) -> None:
        if not self._left:
            self._due.append((ns + self._bits_ns(1), STOPF) if self.field("CR2", "AUTOEND") else (ns, TC))
