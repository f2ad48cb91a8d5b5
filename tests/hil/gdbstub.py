# SPDX-License-Identifier: Apache-2.0
"""A debugger of the emulated machine: stops its processors, and lets each continue in an endless loop.

GDB's remote protocol, as QEMU speaks it: https://sourceware.org/gdb/current/onlinedocs/gdb.html/Remote-Protocol.html
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self

from linetap_core.clock import SYSTEM

PC, CPSR = 0x20, 0x21  # AArch64's numbers of these registers
MASKED = 0x3C0  # no interrupt of whatever kind
LEVEL, KERNEL = 0xC, 0x4
FOR_EVER = "00000014"  # `b .`
PROCESSORS = (1, 2)
_TRIES, _LIMIT_S = 200, 10


def hang(path: Path) -> None:
    """Every processor loops within the kernel with its interrupts off, until somebody resets the machine."""
    with _Stub(path) as stub:
        for _ in range(_TRIES):
            if all(stub.register(cpu, CPSR) & LEVEL == KERNEL for cpu in PROCESSORS):
                break
            stub.goes_on_for(0.02)
        else:
            raise AssertionError("the processors were never in the kernel both")
        for cpu in PROCESSORS:
            flags = stub.register(cpu, CPSR) | MASKED
            assert stub.ask(f"M{stub.register(cpu, PC):x},4:{FOR_EVER}") == "OK"
            assert stub.ask(f"P{CPSR:x}={flags.to_bytes(4, 'little').hex()}") == "OK"
        assert stub.ask("D") == "OK"


class _Stub:
    """The machine stands still while one is connected, but for `goes_on_for`."""

    def __init__(self, path: Path) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.settimeout(_LIMIT_S)
        self._line.connect(str(path))
        self._file = self._line.makefile("rb")

    def __enter__(self) -> Self:
        self.ask("?")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._line.close()

    def register(self, cpu: int, number: int) -> int:
        assert self.ask(f"Hg{cpu}") == "OK"
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}")), "little")

    def goes_on_for(self, seconds: float) -> None:
        self._say("c")
        SYSTEM.sleep(seconds)
        self._line.sendall(b"\x03")
        self._answer()

    def ask(self, words: str) -> str:
        self._say(words)
        return self._answer()

    def _say(self, words: str) -> None:
        self._line.sendall(f"${words}#{sum(words.encode()) & 0xFF:02x}".encode())

    def _answer(self) -> str:
        while self._file.read(1) not in (b"$", b""):
            pass
        text = b""
        while (byte := self._file.read(1)) not in (b"#", b""):
            text += byte
        self._file.read(2)
        self._line.sendall(b"+")
        return text.decode()
