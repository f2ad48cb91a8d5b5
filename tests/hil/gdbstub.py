# SPDX-License-Identifier: Apache-2.0
"""A debugger of the emulated machine: stops its processors, and makes each continue in an endless loop; or writes the
fuses of an emulated Pi, for whose key QEMU has no option.

It uses GDB's remote protocol in QEMU's form:
https://sourceware.org/gdb/current/onlinedocs/gdb.html/Remote-Protocol.html
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self

from linetap_core.clock import SYSTEM

PC, CPSR = 0x20, 0x21  # AArch64's numbers of these registers
MASKED = 0x3C0  # all interrupts masked
LEVEL, KERNEL = 0xC, 0x4
FOR_EVER = "00000014"  # `b .`
PROCESSORS = (1, 2)
_TRIES, _LIMIT_S = 200, 10
# A Pi 4's mailbox to its firmware as seen by the processor, and an unused page.
FROM_FIRMWARE, TO_FIRMWARE, PAGE = 0xFE00B880, 0xFE00B8A0, 0x3A100000
BUS, PROPERTIES = 0xC0000000, 8  # the firmware's view of the memory; the channel
SET_PRIVATE_KEY, ANSWERED = 0x00038081, 0x80000000


def hang(path: Path) -> None:
    """Makes every processor loop within the kernel with its interrupts off, until the machine is reset."""
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


def burn(path: Path, key: bytes) -> None:
    """Sends the request of Raspberry Pi's rpi-otp-private-key -w in a machine before its start (-S); then starts it."""
    rows = [int.from_bytes(key[at : at + 4], "big") for at in range(0, 32, 4)]
    request = [0, 0, SET_PRIVATE_KEY, 40, 40, 0, 8, *rows, 0]
    request[0] = 4 * len(request)
    with _Stub(path) as stub:
        assert stub.ask("Qqemu.PhyMemMode:1") == "OK"
        stub.write(PAGE, *request)
        stub.write(TO_FIRMWARE, (PAGE | BUS) + PROPERTIES)
        assert stub.word(FROM_FIRMWARE) == (PAGE | BUS) + PROPERTIES
        assert stub.word(PAGE + 4) == ANSWERED
        stub.write(PAGE, *[0] * len(request))
        assert stub.ask("Qqemu.PhyMemMode:0") == "OK"
        assert stub.ask("D") == "OK"


class _Stub:
    """A connection. The machine is stopped while it is open, except during `goes_on_for`."""

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

    def write(self, address: int, *words: int) -> None:
        data = b"".join(word.to_bytes(4, "little") for word in words)
        assert self.ask(f"M{address:x},{len(data):x}:{data.hex()}") == "OK"

    def word(self, address: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(f"m{address:x},4")), "little")

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
