# SPDX-License-Identifier: Apache-2.0
"""The flash: wait states, erasing of pages and writing of double words (RM0444, 3.3.6 to 3.3.8)."""

from __future__ import annotations

import struct
from typing import Protocol

from emulator.registers import Misuse, Peripheral
from emulator.timers import Time

BEGINNING, PAGE = 0x08000000, 2048
KEYS = (0x45670123, 0xCDEF89AB)
ERASED_NS, WRITTEN_NS = 22_000_000, 85_000  # typical values of the data sheet, from memory
ERRORS = 0xC3FA
WRITE, ERASE, START, LOCK = 1, 2, 1 << 16, 1 << 31


class Memory(Protocol):
    def read_flash(self, at: int, length: int) -> bytes: ...
    def write_flash(self, at: int, data: bytes) -> None: ...


class FollowsWaits(Protocol):
    def follow(self) -> None: ...


class Flash(Peripheral):
    """The flash. Time advances at once by the duration of an erase or write, as the core, in the same bank, is stalled
    meanwhile.
    """

    def __init__(self, time: Time) -> None:
        self.clocks: FollowsWaits | None = None
        self.memory: Memory | None = None
        self._time = time
        self.erased: list[int] = []  # pages in the order of erasing
        super().__init__("FLASH")

    def reset(self) -> None:
        super().reset()
        self._keys: list[int] = []
        self._half: tuple[int, int] | None = None  # the first word of a double word, until the second is written

    def on_write(self, register: str, value: int) -> None:
        if register == "ACR":
            self.values["ACR"] = value
            if self.clocks is not None:
                self.clocks.follow()
        elif register == "KEYR":
            self._keys = [*self._keys, value][-2:]
            if tuple(self._keys) == KEYS:
                self.values["CR"] &= ~LOCK
        elif register == "SR":
            self.values["SR"] &= ~(value & (ERRORS | 1))
        elif register == "CR":
            self._control(value)
        else:
            self.values[register] &= ~(value & 3 << 30)

    def _control(self, value: int) -> None:
        if self.values["CR"] & LOCK:
            raise Misuse(f"FLASH_CR is written ({value:#x}) while it is locked")
        if self._half is not None:
            raise Misuse(f"FLASH_CR is written ({value:#x}) between the two words of eight bytes")
        if value & START and (value & ERASE == 0 or value & WRITE or self.values["SR"] & ERRORS):
            raise Misuse(f"FLASH_CR: {value:#x} starts no erasure of a page, or errors stand in SR")
        self.values["CR"] = value & ~START | 1 << 30
        if value & START:
            self._erase(value >> 3 & 0x3FF)

    def _erase(self, page: int) -> None:
        assert self.memory is not None
        if page >= 32:
            raise Misuse(f"page {page}: how the second half of the flash is numbered is not modelled")
        self.memory.write_flash(BEGINNING + page * PAGE, b"\xff" * PAGE)
        self.erased.append(page)
        self._time.ns += ERASED_NS

    def on_word(self, at: int, size: int, value: int) -> None:
        """Handles the program's write into the flash's memory. A forbidden write, an error flag on the part, is Misuse
        here.
        """
        assert self.memory is not None
        if size != 4 or not self.values["CR"] & WRITE or self.values["CR"] & ERASE or self.values["SR"] & ERRORS:
            raise Misuse(f"{size} bytes are written to {at:#x}, and FLASH_CR is {self.values['CR']:#x}")
        if self._half is None:
            if at % 8:
                raise Misuse(f"the first of two words is written to {at:#x}, where no eight bytes begin")
            if self.memory.read_flash(at, 8) != b"\xff" * 8:
                raise Misuse(f"{at:#x} is written, and was not erased")
            self._half = at, value
            return
        first, word = self._half
        if at != first + 4:
            raise Misuse(f"{first:#x} and then {at:#x} are written: no eight bytes")
        self._half = None
        self.memory.write_flash(first, struct.pack("<II", word, value))
        self._time.ns += WRITTEN_NS
