# SPDX-License-Identifier: Apache-2.0
"""The part's USB device peripheral (RM0444, 37): channel registers with toggle bits, packet memory, one interrupt.

The bus side is `bus_reset`, `frame` and the host's three transactions: `setup`, `out` and `into`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from emulator.registers import Misuse, Peripheral

MEMORY_BYTES = 2048
CHANNELS = 8
DISABLED, STALL, NAK, VALID = range(4)
BULK, CONTROL, ISOCHRONOUS, INTERRUPT = range(4)  # values of UTYPE
DOUBLE_BUFFERED = 1  # EPKIND of a bulk endpoint
CLEARED = 1 << 15 | 1 << 7  # VTRX, VTTX: writing 0 clears, 1 keeps
TOGGLED = 3 << 12 | 1 << 14 | 3 << 4 | 1 << 6  # STATRX, DTOGRX, STATTX, DTOGTX
KEPT = 3 << 9 | 1 << 8 | 15  # UTYPE, EPKIND, EA
READ_ONLY = 1 << 11  # SETUP
TOLD = 0x7F80  # flags below CTR in ISTR and CNTR
CTR = 1 << 15


class Answer(Enum):
    ACK = "ack"
    NAK = "nak"
    STALL = "stall"
    NOTHING = "nothing"  # no handshake


@dataclass(frozen=True, slots=True)
class Packet:
    toggle: int
    data: bytes


class Usb(Peripheral):
    """`runs`: whether its 48 MHz and its supply are present."""

    ones_kept = ("ISTR",)

    def __init__(self, runs: Callable[[], bool]) -> None:
        self._runs = runs
        self.memory = bytearray(MEMORY_BYTES)
        super().__init__("USB")

    # --- the program's side -------------------------------------------------------------------------------------------

    def reset(self) -> None:
        super().reset()
        self._reset_channels()

    def _reset_channels(self) -> None:
        """Resets all channel bits but VTRX and VTTX, which the program may not have read yet (37.6.2)."""
        for n in range(CHANNELS):
            self.values[f"CHEP{n}"] = self.values.get(f"CHEP{n}", 0) & CLEARED
        self.values["DADDR"] = 0

    def on_read(self, register: str) -> int:
        if register == "ISTR":
            return self._status()
        return self.values[register]

    def on_write(self, register: str, value: int) -> None:
        if register.startswith("CHEP"):
            before = self.values[register]
            kept = (before & (CLEARED & value)) | (before & READ_ONLY) | (value & KEPT)
            self.values[register] = kept | ((before ^ value) & TOGGLED)
        elif register == "ISTR":
            self.values["ISTR"] &= value | ~TOLD  # CTR, DIR and IDN follow the channels
        elif register == "CNTR":
            self.values["CNTR"] = value
            if self.field("CNTR", "USBRST"):
                self._reset_channels()
        elif register != "FNR":
            self.values[register] = value

    def read_memory(self, at: int, size: int) -> int:
        if size != 4 or at % 4:
            raise Misuse(f"the packet memory is read at {at:#x} by {size} bytes: it takes words alone")
        return int.from_bytes(self.memory[at : at + 4], "little")

    def write_memory(self, at: int, size: int, value: int) -> None:
        if size != 4 or at % 4:
            raise Misuse(f"the packet memory is written at {at:#x} by {size} bytes: it takes words alone")
        self.memory[at : at + 4] = value.to_bytes(4, "little")

    def interrupts(self) -> bool:
        return bool(self._status() & self.values["CNTR"] & (TOLD | CTR))

    def _status(self) -> int:
        for n in range(CHANNELS):
            has = self.values[f"CHEP{n}"] & CLEARED
            if has:
                direction = 1 << 4 if has & 1 << 15 else 0
                return (self.values["ISTR"] & TOLD) | CTR | direction | n
        return self.values["ISTR"] & TOLD

    # --- the bus's side -----------------------------------------------------------------------------------------------

    def attached(self) -> bool:
        """Whether the host sees its pull-up."""
        return bool(self.field("BCDR", "DPPU_DPD")) and self._powered()

    def _powered(self) -> bool:
        return not (self.field("CNTR", "PDWN") or self.field("CNTR", "USBRST")) and self._runs()

    def bus_reset(self) -> None:
        self._reset_channels()
        self.put("ISTR", "RST_DCON", 1)

    def frame(self) -> None:
        """A start of frame, each millisecond."""
        if self._powered():
            self.put("FNR", "FN", self.field("FNR", "FN") + 1)
            self.put("ISTR", "SOF", 1)

    def _channel(self, address: int, endpoint: int) -> str | None:
        if not self.attached() or not self.field("DADDR", "EF") or self.field("DADDR", "ADD") != address:
            return None
        for n in range(CHANNELS):
            name = f"CHEP{n}"
            if self.field(name, "EA") == endpoint and (self.field(name, "STATRX") or self.field(name, "STATTX")):
                kind = self.field(name, "UTYPE")
                if kind == ISOCHRONOUS or (kind == BULK and self.field(name, "EPKIND") == DOUBLE_BUFFERED):
                    raise Misuse(f"USB_{name}: isochronous and double-buffered endpoints are not modelled")
                return name
        return None

    def setup(self, address: int, endpoint: int, data: bytes) -> Answer:
        """A SETUP transaction. A control endpoint accepts it in any state (37.5.2), unless the previous one is still
        unserved.
        """
        name = self._channel(address, endpoint)
        if name is None or self.field(name, "UTYPE") != CONTROL or not self.field(name, "STATRX"):
            return Answer.NOTHING
        if self.field(name, "VTRX"):
            return Answer.NOTHING
        if not self._store(name, data):
            return Answer.NOTHING
        self.put(name, "SETUP", 1)
        self.put(name, "DTOGRX", 1)  # the SETUP clears it, and its data toggle it
        self.put(name, "DTOGTX", 1)
        self.put(name, "STATTX", NAK if self.field(name, "STATTX") else DISABLED)
        self._received(name)
        return Answer.ACK

    def out(self, address: int, endpoint: int, packet: Packet) -> Answer:
        name = self._channel(address, endpoint)
        state = DISABLED if name is None else self.field(name, "STATRX")
        if name is None or state in (DISABLED, STALL, NAK):
            return {DISABLED: Answer.NOTHING, STALL: Answer.STALL, NAK: Answer.NAK}[state]
        if packet.toggle != self.field(name, "DTOGRX"):
            return Answer.ACK  # a repetition whose handshake was lost: its data are ignored
        if not self._store(name, packet.data):
            return Answer.NOTHING
        self.put(name, "SETUP", 0)
        self.put(name, "DTOGRX", 1 - packet.toggle)
        self._received(name)
        return Answer.ACK

    def into(self, address: int, endpoint: int, *, acknowledged: bool = True) -> Packet | Answer:
        """An IN transaction; `acknowledged`: the host's handshake arrives. Without it the same packet is sent again."""
        name = self._channel(address, endpoint)
        state = DISABLED if name is None else self.field(name, "STATTX")
        if name is None or state in (DISABLED, STALL, NAK):
            return {DISABLED: Answer.NOTHING, STALL: Answer.STALL, NAK: Answer.NAK}[state]
        word = self._descriptor(name, 0)
        at, count = word & 0xFFFF, word >> 16 & 0x3FF
        self._within(name, at, count)
        packet = Packet(self.field(name, "DTOGTX"), bytes(self.memory[at : at + count]))
        if acknowledged:
            self.put(name, "DTOGTX", 1 - packet.toggle)
            self.put(name, "STATTX", NAK)
            self.put(name, "VTTX", 1)
        return packet

    def _received(self, name: str) -> None:
        self.put(name, "STATRX", NAK)
        self.put(name, "VTRX", 1)

    def _store(self, name: str, data: bytes) -> bool:
        """Stores the packet; False if it is larger than the program's buffer: no handshake then."""
        word = self._descriptor(name, 4)
        at, block, blocks = word & 0xFFFF, word >> 31, word >> 26 & 31
        room = 32 * (blocks + 1) if block else 2 * blocks
        self._within(name, at, room)
        if len(data) > room:
            self.put("ISTR", "PMAOVR", 1)
            return False
        self.memory[at : at + len(data)] = data
        at = 8 * int(name[-1]) + 4
        self.memory[at : at + 4] = (word & ~(0x3FF << 16) | len(data) << 16).to_bytes(4, "little")
        return True

    def _descriptor(self, name: str, which: int) -> int:
        at = 8 * int(name[-1]) + which
        return int.from_bytes(self.memory[at : at + 4], "little")

    def _within(self, name: str, at: int, size: int) -> None:
        if at % 4 or at < 8 * (int(name[-1]) + 1) or at + size > MEMORY_BYTES:
            raise Misuse(f"USB_{name}: its packet of {size} bytes at {at:#x} does not lie in the packet memory")
