# SPDX-License-Identifier: Apache-2.0
"""The meter on USB, queried as by Linux, with the numbers of Linux's own headers."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linux_usb import said_to_linux
from meterbuild import METER, build_usb

HEADERS = Path("/usr/include/linux/usb")  # linux-libc-dev, which comes with any compiler
RULES = Path(__file__).parents[2] / "systemd" / "udev" / "70-linetap.rules"
GET, SET = 0x80, 0x00
CLASS_SET, CLASS_GET = 0x21, 0xA1
LIMIT_S = 60
_folder = TemporaryDirectory(prefix="linetap-meter-usb-")


@cache
def program() -> str:
    return str(build_usb(Path(_folder.name) / "usb"))


@cache
def linux(header: str) -> dict[str, int]:
    """The numbers that a header of Linux defines."""
    text = (HEADERS / header).read_text()
    return {
        name: int(value, 0)
        for name, value in re.findall(r"^#define\s+(\w+)\s+\(?(0x[0-9a-fA-F]+|\d+)\)?\s", text, re.M)
    }


def ch9(name: str) -> int:
    return linux("ch9.h")[name]


def cdc(name: str) -> int:
    return linux("cdc.h")[name]


class Stalled(Exception):
    pass


class Device:
    """Endpoint 0 of a meter, as seen by a host."""

    def __init__(self, part: str = "") -> None:
        words = [program(), *([part] if part else [])]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(LIMIT_S) == 0, "C's sanitizers, or a word that it does not know"

    def _said(self, count: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        assert len(data) == count, "it has ended"
        return data

    def raw(self, packet: bytes) -> bytes:
        """The answer's kind, and the reply."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"S" + packet)
        kind = self._said(1)
        return kind + self._said(self._said(1)[0]) if kind == b"r" else kind

    def ask(self, kind: int, request: int, value: int = 0, index: int = 0, length: int = 0) -> bytes:
        said = self.raw(struct.pack("<BBHHH", kind, request, value, index, length))
        if said[:1] == b"x":
            raise Stalled
        return said[1:]

    def give(self, kind: int, request: int, data: bytes, index: int = 0) -> None:
        assert self.raw(struct.pack("<BBHHH", kind, request, 0, index, len(data))) == b"t"
        self.data(data)

    def data(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"D" + bytes([len(data)]) + data)
        assert self._said(1) == b"d"

    def reset(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"R")

    def descriptor(self, name: str, which: int = 0, length: int = 255, language: int = 0) -> bytes:
        return self.ask(GET, ch9("USB_REQ_GET_DESCRIPTOR"), ch9(name) << 8 | which, language, length)

    def text(self, which: int) -> str:
        data = self.descriptor("USB_DT_STRING", which, language=0x0409)
        assert data[:2] == bytes([len(data), ch9("USB_DT_STRING")])
        return data[2:].decode("utf-16-le")


@pytest.fixture
def device() -> Iterator[Device]:
    with Device() as made:
        yield made


def pieces(data: bytes) -> list[bytes]:
    """The descriptors of a configuration, in order."""
    found = []
    while data:
        assert 2 <= data[0] <= len(data)
        found.append(data[: data[0]])
        data = data[data[0] :]
    return found


def test_it_is_found_as_linux_finds_a_device(device: Device) -> None:
    """In the order of drivers/usb/core/hub.c and of drivers/usb/class/cdc-acm.c."""
    first = device.descriptor("USB_DT_DEVICE", length=64)
    assert len(first) == ch9("USB_DT_DEVICE_SIZE")
    device.reset()
    assert device.ask(SET, ch9("USB_REQ_SET_ADDRESS"), 7) == b""
    assert device.descriptor("USB_DT_DEVICE", length=18) == first
    assert device.descriptor("USB_DT_DEVICE", length=8) == first[:8]
    head = device.descriptor("USB_DT_CONFIG", length=ch9("USB_DT_CONFIG_SIZE"))
    (total,) = struct.unpack_from("<H", head, 2)
    assert len(device.descriptor("USB_DT_CONFIG", length=total)) == total
    assert device.descriptor("USB_DT_STRING") == b"\x04\x03\x09\x04"
    assert [device.text(n) for n in (1, 2)] == ["linetap", "linetap line meter"]
    assert device.ask(GET, ch9("USB_REQ_GET_CONFIGURATION"), length=1) == b"\x00"
    assert device.ask(SET, ch9("USB_REQ_SET_CONFIGURATION"), 1) == b""
    assert device.ask(GET, ch9("USB_REQ_GET_CONFIGURATION"), length=1) == b"\x01"
    coding = struct.pack("<IBBB", 115200, 0, 0, 8)
    device.give(CLASS_SET, cdc("USB_CDC_REQ_SET_LINE_CODING"), coding)
    assert device.ask(CLASS_GET, cdc("USB_CDC_REQ_GET_LINE_CODING"), length=7) == coding
    assert device.ask(CLASS_SET, cdc("USB_CDC_REQ_SET_CONTROL_LINE_STATE"), 3) == b""
    device.reset()
    assert device.ask(GET, ch9("USB_REQ_GET_CONFIGURATION"), length=1) == b"\x00"


def test_it_answers_what_linux_asked_as_it_did_when_linux_took_it_for_a_serial_port(device: Device) -> None:
    for packet, answer in said_to_linux():
        said = device.raw(bytes.fromhex(packet))
        assert (chr(said[0]), said[1:].hex()) == (answer[0], answer[1:]), packet
        if answer == "t":
            device.data(bytes(7))


def test_its_device_is_of_the_class_and_has_the_number_that_udev_knows(device: Device) -> None:
    size, kind, usb, of_class, _, _, packet, vendor, product, _, maker, name, serial, configurations = struct.unpack(
        "<BBHBBBBHHHBBBB", device.descriptor("USB_DT_DEVICE")
    )
    assert (size, kind, usb) == (ch9("USB_DT_DEVICE_SIZE"), ch9("USB_DT_DEVICE"), 0x0200)
    assert (of_class, packet, configurations) == (ch9("USB_CLASS_COMM"), 64, 1)
    assert (maker, name, serial) == (1, 2, 3)
    known = re.findall(r'ATTRS\{idVendor\}=="([0-9a-f]{4})", ATTRS\{idProduct\}=="([0-9a-f]{4})"', RULES.read_text())
    assert set(known) == {(f"{vendor:04x}", f"{product:04x}")}


def test_its_configuration_is_a_serial_port_of_the_class(device: Device) -> None:
    whole = pieces(device.descriptor("USB_DT_CONFIG"))
    head, commands, *functions, notices, data, out, into = whole
    assert struct.unpack("<BBHBBBBB", head)[2:6] == (sum(map(len, whole)), 2, 1, 0)
    assert head[7] == 1 << 7 | 1 << 6, "USB_CONFIG_ATT_ONE, USB_CONFIG_ATT_SELFPOWER"
    assert head[8] == 0, "the card takes nothing from the bus"
    assert [len(each) for each in (head, commands, notices)] == [
        ch9("USB_DT_CONFIG_SIZE"), ch9("USB_DT_INTERFACE_SIZE"), ch9("USB_DT_ENDPOINT_SIZE"),
    ]  # fmt: skip
    interface, endpoint = ch9("USB_DT_INTERFACE"), ch9("USB_DT_ENDPOINT")
    assert [each[1] for each in (commands, notices, data, out, into)] == [
        interface,
        endpoint,
        interface,
        endpoint,
        endpoint,
    ]
    assert tuple(commands[2:7]) == (0, 0, 1, ch9("USB_CLASS_COMM"), cdc("USB_CDC_SUBCLASS_ACM"))
    assert tuple(data[2:6]) == (1, 0, 2, ch9("USB_CLASS_CDC_DATA"))
    kinds = ("USB_CDC_HEADER_TYPE", "USB_CDC_CALL_MANAGEMENT_TYPE", "USB_CDC_ACM_TYPE", "USB_CDC_UNION_TYPE")
    assert [each[2] for each in functions] == [cdc(name) for name in kinds]
    assert {each[1] for each in functions} == {interface | 1 << 5}, "USB_DT_CS_INTERFACE"
    assert tuple(functions[3][3:]) == (commands[2], data[2])
    ways = [struct.unpack("<BBBBHB", each)[2:5] for each in (notices, out, into)]
    bulk, interrupt, comes = ch9("USB_ENDPOINT_XFER_BULK"), ch9("USB_ENDPOINT_XFER_INT"), ch9("USB_DIR_IN")
    assert ways == [(comes | 2, interrupt, 8), (1, bulk, 64), (comes | 1, bulk, 64)]


def test_each_part_has_a_serial_number_of_its_own(device: Device) -> None:
    assert device.text(3) == "003600215646500B20343257"
    with Device("b") as other:
        assert other.text(3) == "003600215646500B00000062"


@pytest.mark.parametrize(
    "packet",
    [
        (GET, 6, 0x0400, 0, 64),  # a descriptor only of an interface
        (GET, 6, 0x0304, 0x0409, 255),  # a text that it does not have
        (GET, 6, 0x0601, 0, 10),  # a device qualifier: it only supports full speed
        (SET, 6, 0x0100, 0, 18),  # the wrong direction
        (SET, 5, 128, 0, 0),
        (SET, 9, 2, 0, 0),
        (0x81, 0, 0, 2, 2),  # an interface that it does not have
        (0x01, 11, 1, 1, 0),  # an alternate setting
        (0x02, 1, 0, 5, 0),  # an endpoint that it does not have
        (CLASS_SET, 0x20, 0, 0, 8),  # a line coding of eight bytes
        (CLASS_SET, 0x22, 0, 1, 0),  # to the interface of data
        (CLASS_SET, 0x23, 0, 0, 0),  # a break
        (0x40, 1, 0, 0, 0),  # a vendor's
    ],
)
def test_what_it_does_not_know_is_a_stall(device: Device, packet: tuple[int, int, int, int, int]) -> None:
    device.ask(SET, ch9("USB_REQ_SET_CONFIGURATION"), 1)
    with pytest.raises(Stalled):
        device.ask(*packet)
    assert device.descriptor("USB_DT_DEVICE")


def test_a_halted_endpoint_says_so_until_it_is_cleared(device: Device) -> None:
    with pytest.raises(Stalled):
        device.ask(0x02, ch9("USB_REQ_SET_FEATURE"), 0, 0x81)
    device.ask(SET, ch9("USB_REQ_SET_CONFIGURATION"), 1)
    for endpoint in (0x01, 0x81, 0x82):
        assert device.ask(0x82, ch9("USB_REQ_GET_STATUS"), 0, endpoint, 2) == b"\x00\x00"
        device.ask(0x02, ch9("USB_REQ_SET_FEATURE"), 0, endpoint)
        assert device.ask(0x82, ch9("USB_REQ_GET_STATUS"), 0, endpoint, 2) == b"\x01\x00"
        device.ask(0x02, ch9("USB_REQ_CLEAR_FEATURE"), 0, endpoint)
        assert device.ask(0x82, ch9("USB_REQ_GET_STATUS"), 0, endpoint, 2) == b"\x00\x00"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(min_size=8, max_size=8), max_size=200))
def test_no_packet_harms_it(packets: list[bytes]) -> None:
    with Device() as device:
        for packet in packets:
            said = device.raw(packet)
            assert len(said) - 1 <= struct.unpack_from("<H", packet, 6)[0]
        assert len(device.descriptor("USB_DT_DEVICE")) == 18


def test_the_numbers_of_its_memory_do_not_overlap() -> None:
    """The part's packet memory: five buffers of 64 bytes after the descriptors of eight endpoints."""
    text = (METER / "stm32g0" / "usb.c").read_text()
    at = sorted(int(number) for number in re.findall(r"#define (?:CONTROL|BULK|NOTICES)_(?:OUT|IN) (\d+)u", text))
    assert len(at) == 5
    assert at[0] >= 8 * 8
    assert all(after - before >= 64 for before, after in pairwise(at))
    assert at[-1] + 64 <= 2048
