# SPDX-License-Identifier: Apache-2.0
"""The Cortex-M0+ in Unicorn: memory, the program, one interrupt at a time (ARMv6-M, B1.5.6).

Unicorn does not model time: `run` executes a slice of instructions, and `chip` computes the time of these. Timing is
not exact to a cycle, and no test depends on a single cycle.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator.engine import unicorn
from emulator.registers import Misuse, table

FLASH, FLASH_BYTES = 0x08000000, 128 << 10
RAM, RAM_BYTES = 0x20000000, 144 << 10
RETURN = 0x10000000  # return address of an interrupt: Unicorn cannot execute the part's EXC_RETURN
PAGE = 0x1000
BUSES = ((0x40000000, 0x30000), (0x50000000, 0x2000), (0xE000E000, PAGE))
UNUSED = 0xA5  # value of memory that was never written
UNIQUE_ID = (0x00360021, 0x5646500B, 0x20343257)

Read = Callable[[int, int], int]  # address, size
Write = Callable[[int, int, int], None]


def segments(elf: Path) -> list[tuple[int, bytes]]:
    """(address, bytes) of the segments for the flash. Misuse if the file is no program for this core."""
    data = elf.read_bytes()
    if data[:6] != b"\x7fELF\x01\x01" or struct.unpack_from("<H", data, 18)[0] != 40:
        raise Misuse(f"{elf}: no ELF of 32 bits for ARM")
    at, size, count = struct.unpack_from("<I", data, 28)[0], *struct.unpack_from("<HH", data, 42)
    found = []
    for n in range(count):
        kind, offset, _, address, length = struct.unpack_from("<IIIII", data, at + n * size)
        if kind == 1 and length:  # PT_LOAD
            found.append((address, data[offset : offset + length]))
    return found


class Core:
    def __init__(self, read: Read, write: Write) -> None:
        self._unicorn, self._arm = unicorn()
        uc = self._unicorn.Uc(self._unicorn.UC_ARCH_ARM, self._unicorn.UC_MODE_THUMB | self._unicorn.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(self._arm.UC_CPU_ARM_CORTEX_M0)
        self.uc = uc
        uc.mem_map(FLASH, FLASH_BYTES, self._unicorn.UC_PROT_READ | self._unicorn.UC_PROT_EXEC)
        uc.mem_map(RAM, RAM_BYTES)
        uc.mem_map(RETURN, PAGE)
        identity = table()["unique_id"]
        uc.mem_map(identity & ~(PAGE - 1), PAGE, self._unicorn.UC_PROT_READ)
        uc.mem_write(identity, struct.pack("<3I", *UNIQUE_ID))
        uc.mem_write(RAM, bytes([UNUSED]) * RAM_BYTES)
        self._read, self._write = read, write
        self._refused: Misuse | None = None  # stored, because Unicorn propagates no exception from a read hook
        for base, size in BUSES:
            uc.mmio_map(base, size, self._on_read, base, self._on_write, base)
        uc.hook_add(self._unicorn.UC_HOOK_MEM_WRITE_PROT, self._on_flash)
        self._pc = 0
        self._in_interrupt = False
        self.instructions = 0

    def load(self, elf: Path) -> int:
        """Loads the program; returns its entry."""
        self.uc.mem_write(FLASH, b"\xff" * FLASH_BYTES)
        for address, data in segments(elf):
            if not FLASH <= address <= FLASH + FLASH_BYTES - len(data):
                raise Misuse(f"{elf}: {len(data)} bytes at {address:#x} are not in the flash")
            self.uc.mem_write(address, data)
        return min(address for address, _ in segments(elf))

    def read_flash(self, at: int, length: int) -> bytes:
        return bytes(self.uc.mem_read(at, length))

    def write_flash(self, at: int, data: bytes) -> None:
        self.uc.mem_write(at, data)
        self.uc.ctl_remove_cache(at, at + len(data))  # the old contents may have been executed

    def _on_flash(self, _uc: Any, _access: int, at: int, size: int, value: int, _data: Any) -> bool:
        """Handles a word written to the flash: flash.py programs it, not the memory itself."""
        try:
            self._write(at, size, value & (1 << 8 * size) - 1)
        except Misuse as error:
            self._refuse(error)
        return True

    def reset(self, vectors: int = FLASH) -> None:
        stack, entry = struct.unpack("<II", self.uc.mem_read(vectors, 8))
        self.uc.reg_write(self._arm.UC_ARM_REG_SP, stack)
        self.uc.reg_write(self._arm.UC_ARM_REG_PRIMASK, 0)
        self._pc, self._in_interrupt = entry, False

    @property
    def pc(self) -> int:
        return self._pc & ~1

    def run(self, most: int) -> None:
        """Executes at most this many instructions: fewer if an interrupt returns, or `stop` was called."""
        try:
            self.uc.emu_start(self._pc | 1, RETURN, count=most)
        except self._unicorn.UcError as error:
            at = self.uc.reg_read(self._arm.UC_ARM_REG_PC)
            raise Misuse(f"the program faults at {at:#x}: {error}") from None
        if self._refused is not None:
            raise self._refused
        self.instructions += most
        self._pc = self.uc.reg_read(self._arm.UC_ARM_REG_PC)
        if self._pc & ~1 == RETURN:
            self._leave()

    def _on_read(self, _uc: Any, offset: int, size: int, base: int) -> int:
        try:
            return self._read(base + offset, size)
        except Misuse as error:
            self._refuse(error)
            return 0

    def _on_write(self, _uc: Any, offset: int, size: int, value: int, base: int) -> None:
        try:
            self._write(base + offset, size, value)
        except Misuse as error:
            self._refuse(error)

    def _refuse(self, error: Misuse) -> None:
        self._refused = self._refused or error
        self.stop()

    def stop(self) -> None:
        self.uc.emu_stop()

    def free(self) -> bool:
        """Whether an interrupt can be entered."""
        return not self._in_interrupt and not self.uc.reg_read(self._arm.UC_ARM_REG_PRIMASK) & 1

    def enter(self, vector: int, vectors: int = FLASH) -> None:
        """Enters exception `vector` (16 and up are interrupts): pushes eight registers, and calls its handler."""
        arm = self._arm
        names = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3, arm.UC_ARM_REG_R12,
                 arm.UC_ARM_REG_LR)  # fmt: skip
        stack = self.uc.reg_read(arm.UC_ARM_REG_SP)
        aligned = (stack - 32) & ~7
        frame = [*(self.uc.reg_read(name) for name in names), self._pc, self.uc.reg_read(arm.UC_ARM_REG_CPSR)]
        self._unaligned = stack - 32 - aligned
        self.uc.mem_write(aligned, struct.pack("<8I", *frame))
        self.uc.reg_write(arm.UC_ARM_REG_SP, aligned)
        self.uc.reg_write(arm.UC_ARM_REG_LR, RETURN | 1)
        self._pc = struct.unpack("<I", self.uc.mem_read(vectors + 4 * vector, 4))[0]
        self._in_interrupt = True

    def _leave(self) -> None:
        if not self._in_interrupt:
            raise Misuse("the program returns from an interrupt that there was not")
        arm = self._arm
        stack = self.uc.reg_read(arm.UC_ARM_REG_SP)
        *registers, self._pc, flags = struct.unpack("<8I", self.uc.mem_read(stack, 32))
        names = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3, arm.UC_ARM_REG_R12,
                 arm.UC_ARM_REG_LR)  # fmt: skip
        for name, value in zip(names, registers, strict=True):
            self.uc.reg_write(name, value)
        self.uc.reg_write(arm.UC_ARM_REG_SP, stack + 32 + self._unaligned)
        self.uc.reg_write(arm.UC_ARM_REG_CPSR, flags)
        self._in_interrupt = False

    def stack_used(self, top: int) -> int:
        """Bytes below `top` that were ever written."""
        memory = bytes(self.uc.mem_read(RAM, top - RAM))
        untouched = memory.rfind(bytes([UNUSED]) * 64)
        return top - RAM - (untouched + 64)
