# SPDX-License-Identifier: Apache-2.0
"""A USB 2.0 host (chapters 8 and 9) that enumerates a device as Linux does and opens it as a serial port
(drivers/usb/core/hub.c, drivers/usb/class/cdc-acm.c).

`turn` runs the bus between two slices of the part's program. A timeout or a violation of the protocol raises `Broken`.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Generator
from functools import partial

from emulator.timers import Time
from emulator.usb import Answer, Packet, Usb
from linetap_core.errors import Refusal

MS = 1_000_000
RESET_NS = 10 * MS  # 7.1.7.5; Linux uses 50
SETTLES_NS = 10 * MS  # 7.1.7.5: recovery after a reset
CONTROL_NS = 500 * MS  # 9.2.6.4: longest time to the device's answer
STRIKES = 3  # 8.5: transactions without any answer
PACKET = 64
PACKETS_A_FRAME = 19  # of 64 bytes, bulk, at full speed (5.8.4)
ADDRESS = 7
IN, OUT = 0x80, 0x00
DEVICE, CONFIGURATION, STRING = 1, 2, 3
GET_DESCRIPTOR, SET_ADDRESS, SET_CONFIGURATION = 6, 5, 9
SET_LINE_CODING, SET_CONTROL_LINE_STATE = 0x20, 0x22
ENGLISH = 0x0409
LINE_CODING = struct.pack("<IBBB", 460800, 0, 0, 8)

Steps = Generator[None]
Replies = Generator[None, None, bytes | None]


class Broken(Refusal):
    """The device violates the protocol, or never answers."""


class Host:
    """`received` grows while the port is open; `asked` lists each setup packet and its result: None is a stall."""

    def __init__(self, device: Usb, time: Time) -> None:
        self._device, self._time = device, time
        self.received = bytearray()
        self.asked: list[tuple[bytes, bytes | None]] = []
        self.opened = False
        self._address = 0
        self._to_send: deque[bytes] = deque()
        self._toggle_out = self._toggle_in = 0
        self._endpoint = 0
        self._frame_ns, self._left = 0, 0
        self._strikes = 0
        self._steps: Steps | None = None

    def send(self, data: bytes) -> None:
        """Queues data in packets of the largest size, like a write to a serial port."""
        self._to_send.extend(data[at : at + PACKET] for at in range(0, len(data), PACKET))

    @property
    def waiting(self) -> int:
        """Packets not yet accepted by the device."""
        return len(self._to_send)

    def detach(self) -> None:
        """Handles a pulled cable or a missing pull-up; the next device is enumerated anew."""
        self.opened, self._steps, self._address = False, None, 0
        self._to_send.clear()

    def frames(self) -> None:
        while self._time.ns >= self._frame_ns:
            self._frame_ns += MS
            self._left = PACKETS_A_FRAME
            self._device.frame()

    def turn(self) -> None:
        self.frames()
        if self._steps is not None and not self._device.attached():
            self.detach()
        if self._steps is None:
            if self._device.attached():
                self._steps = self._found()
        else:
            next(self._steps, None)
        if self.opened:
            self.read()
            self.write()

    # --- enumeration --------------------------------------------------------------------------------------------------

    def _found(self) -> Steps:
        yield from self._reset()
        if needed((yield from self.descriptor(DEVICE, 0, 64)), "device descriptor")[:2] != bytes([18, DEVICE]):
            raise Broken("the first descriptor is none of a device")
        yield from self._reset()
        needed((yield from self.control(OUT, SET_ADDRESS, ADDRESS)), "SET_ADDRESS")
        self._address = ADDRESS
        yield from self._wait(2 * MS)  # 9.2.6.3
        device = needed((yield from self.descriptor(DEVICE, 0, 18)), "device descriptor")
        yield from self.descriptor(6, 0, 10)  # a device qualifier, which a device of full speed alone does not have
        head = needed((yield from self.descriptor(CONFIGURATION, 0, 9)), "configuration")
        whole = struct.unpack_from("<H", head, 2)[0]
        configuration = needed((yield from self.descriptor(CONFIGURATION, 0, whole)), "configuration")
        needed((yield from self.descriptor(STRING, 0, 255)), "languages")
        for which in (device[15], device[14], device[16]):
            needed((yield from self.descriptor(STRING, which, 255, ENGLISH)), "text")
        needed((yield from self.control(OUT, SET_CONFIGURATION, configuration[5])), "SET_CONFIGURATION")
        self._toggle_in = self._toggle_out = 0
        needed((yield from self.control(0x21, SET_LINE_CODING, data=LINE_CODING)), "SET_LINE_CODING")
        self._endpoint = bulk_of(configuration)
        needed((yield from self.control(0x21, SET_CONTROL_LINE_STATE, 3)), "SET_CONTROL_LINE_STATE")
        self.opened = True

    def _reset(self) -> Steps:
        self._device.bus_reset()
        self._address = 0
        yield from self._wait(RESET_NS + SETTLES_NS)

    def _wait(self, ns: int) -> Steps:
        until = self._time.ns + ns
        while self._time.ns < until:
            yield

    # --- transfers ----------------------------------------------------------------------------------------------------

    def descriptor(self, kind: int, which: int, length: int, language: int = 0) -> Replies:
        return (yield from self.control(IN, GET_DESCRIPTOR, kind << 8 | which, language, length))

    def control(
        self, kind: int, request: int, value: int = 0, index: int = 0, length: int = 0, data: bytes = b""
    ) -> Replies:
        """Runs a control transfer; returns its data. None is a stall."""
        packet = struct.pack("<BBHHH", kind, request, value, index, length or len(data))
        reply = yield from self._transfer(packet, data)
        self.asked.append((packet, reply))
        return reply

    def _transfer(self, packet: bytes, data: bytes) -> Replies:
        until = self._time.ns + CONTROL_NS
        yield from self._given(until, lambda: self._device.setup(self._address, 0, packet))
        length = struct.unpack_from("<H", packet, 6)[0]
        if packet[0] & IN and length:
            reply, toggle = b"", 1
            while True:
                piece = yield from self._got(until)
                if piece is None:
                    return None
                if piece.toggle != toggle or len(piece.data) > PACKET or len(reply) + len(piece.data) > length:
                    raise Broken(f"{packet.hex()}: DATA{piece.toggle} of {len(piece.data)} bytes, not DATA{toggle}")
                reply, toggle = reply + piece.data, 1 - toggle
                if len(piece.data) < PACKET or len(reply) == length:
                    break
            empty = Packet(1, b"")
            ended = yield from self._given(until, lambda: self._device.out(self._address, 0, empty))
            return reply if ended is Answer.ACK else None
        toggle = 1
        for at in range(0, len(data), PACKET):
            piece = Packet(toggle, data[at : at + PACKET])
            answer = yield from self._given(until, partial(self._device.out, self._address, 0, piece))
            if answer is Answer.STALL:
                return None
            toggle = 1 - toggle
        status = yield from self._got(until)
        if status is not None and (status.toggle, status.data) != (1, b""):
            raise Broken(f"{packet.hex()}: the status stage is DATA{status.toggle} of {len(status.data)} bytes")
        return None if status is None else b""

    def _given(self, until: int, transaction: Callable[[], Answer]) -> Generator[None, None, Answer]:
        while True:
            answer = transaction()
            if self._lasts(answer, until):
                return answer
            yield

    def _got(self, until: int) -> Generator[None, None, Packet | None]:
        while True:
            answer = self._device.into(self._address, 0)
            if isinstance(answer, Packet):
                self._strikes = 0
                yield
                return answer
            if self._lasts(answer, until):
                return None
            yield

    def _lasts(self, answer: Answer, until: int) -> bool:
        """Whether the transaction is over. Broken if it will never end."""
        self._strikes = self._strikes + 1 if answer is Answer.NOTHING else 0
        if self._strikes >= STRIKES:
            raise Broken("the device does not answer")
        if self._time.ns > until:
            raise Broken("the device takes longer than 500 ms for an answer")
        return answer in (Answer.ACK, Answer.STALL)

    # --- the port's bytes, a packet at a time ------------------------------------------------------------------------

    def read(self) -> None:
        if self._left > 0:
            came = self._device.into(self._address, self._endpoint)
            if isinstance(came, Packet):
                self._left -= 1
                if came.toggle == self._toggle_in:  # otherwise the previous packet, repeated
                    self.received += came.data
                    self._toggle_in = 1 - self._toggle_in

    def write(self) -> None:
        if self._left > 0 and self._to_send:
            answer = self._device.out(self._address, self._endpoint, Packet(self._toggle_out, self._to_send[0]))
            if self._lasts(answer, self._time.ns) and answer is Answer.ACK:
                self._left -= 1
                self._to_send.popleft()
                self._toggle_out = 1 - self._toggle_out


def needed(reply: bytes | None, what: str) -> bytes:
    if reply is None:
        raise Broken(f"{what}: the device refuses")
    return reply


def bulk_of(configuration: bytes) -> int:
    """The number of the data interface's endpoint (class 10), in and out."""
    at, of_data, found = 0, False, set()
    while at < len(configuration):
        size, kind = configuration[at], configuration[at + 1]
        if size < 2:
            raise Broken("a descriptor of no length")
        if kind == 4:
            of_data = configuration[at + 5] == 10
        elif kind == 5 and of_data and configuration[at + 3] & 3 == 2:
            found.add(configuration[at + 2] & 15)
        at += size
    if len(found) != 1:
        raise Broken(f"{len(found)} bulk endpoints of data")
    return found.pop()
