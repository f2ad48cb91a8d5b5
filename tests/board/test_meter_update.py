# SPDX-License-Identifier: Apache-2.0
"""`linetap meter update`, with the meter's own program and loader compiled for this machine."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_meter_usb import Device as Program
from test_meter_usb import Stalled

from linetap.meterprogram import image as images
from linetap.meterprogram import usbfs
from linetap.meterprogram.command import replace_program
from linetap.meterprogram.image import parsed, read, with_suffix
from linetap_core.errors import BadInput, DeviceFault, Refusal
from loader_rig import RUN, Loader, NoTime, for_part, forged, image

PORT = "1-1.2"
OLD, NEW, OLDER = image((1, 2, 0)), image((1, 3, 0), seed=2), image((1, 1, 0), seed=3)


class OfTheProgram:
    """Endpoint 0 of the running program, until the loader is requested."""

    def __init__(self, card: Card) -> None:
        self._card = card

    def give(self, kind: int, request: int, value: int, data: bytes) -> None:
        assert not data
        try:
            self._card.program.ask(kind, request, value)
        except Stalled:
            raise OSError("stalled") from None
        self._card.in_loader = self._card.obeys

    def ask(self, *_request: int) -> bytes:
        raise OSError("it is not asked for this")

    def claim(self) -> None:
        raise OSError("another driver has it")

    def reset(self) -> None:
        raise OSError("not here")


class OfTheLoader:
    def __init__(self, card: Card) -> None:
        self._card = card
        self.give, self.ask = card.loader.give, card.loader.ask

    def claim(self) -> None:
        if self._card.refused_claims:
            self._card.refused_claims -= 1
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def reset(self) -> None:
        self._card.loader.reset()
        if self._card.loader.work():
            self._card.in_loader = not self._card.loader.start()
        raise OSError("gone")


class Card:
    """A bus with one meter on it."""

    def __init__(self, program: Program, loader: Loader, obeys: bool = True) -> None:
        self.program, self.loader, self.obeys = program, loader, obeys
        self.refused_claims = 0
        self.in_loader = not loader.start()

    def meters(self) -> list[str]:
        return [] if self.in_loader else [PORT]

    def loaders(self) -> list[str]:
        return [PORT] if self.in_loader else []

    @contextmanager
    def open(self, port: str) -> Iterator[Any]:
        assert port == PORT
        yield OfTheLoader(self) if self.in_loader else OfTheProgram(self)


@pytest.fixture
def card() -> Iterator[Card]:
    with Program() as program, Loader() as loader:
        loader.lay(RUN, OLD)
        yield Card(program, loader)


def update(card: Card, data: bytes) -> list[int]:
    told: list[int] = []
    replace_program(card, PORT, parsed(with_suffix(data), "meter.dfu"), NoTime(card.loader), told.append)
    return told


def test_a_meter_goes_into_its_loader_takes_the_program_and_comes_back_with_it(card: Card) -> None:
    told = update(card, NEW)
    assert (told[0], told[-1]) == (64, len(NEW))
    assert card.meters() == [PORT]
    assert card.loader.flash(RUN, len(NEW)) == NEW


def test_a_device_that_is_no_meter_is_sent_nothing(card: Card) -> None:
    """At the terminal of unit.toml may be any adapter, to which the same request of its vendor means something else."""
    card.meters = list  # type: ignore[method-assign]
    with pytest.raises(DeviceFault, match=r"USB port 1-1\.2 is no line meter"):
        update(card, NEW)
    assert not card.in_loader


def test_a_loader_that_udev_has_not_authorized_yet_is_waited_for(card: Card) -> None:
    """usb_driver_claim_interface() of the kernel: -ENODEV until then."""
    card.refused_claims = 20
    update(card, NEW)
    assert card.loader.flash(RUN, len(NEW)) == NEW
    assert card.refused_claims == 0


def test_one_that_is_never_authorized_is_a_fault_after_some_seconds(card: Card) -> None:
    card.refused_claims = 1000
    with pytest.raises(DeviceFault, match="No such device"):
        update(card, NEW)
    assert 800 < card.refused_claims < 1000
    assert card.loader.flash(RUN, len(OLD)) == OLD


def test_one_that_waits_in_its_loader_without_a_program_gets_one() -> None:
    with Program() as program, Loader() as loader:
        card = Card(program, loader)
        assert card.in_loader
        update(card, OLDER)
        assert card.meters() == [PORT]


@pytest.mark.parametrize(("data", "why"), [(OLDER, "older"), (forged((9, 0, 0)), "not signed")])
def test_what_the_meter_refuses_is_said_in_a_line_and_the_old_one_goes_on(card: Card, data: bytes, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        update(card, data)
    assert card.loader.start()
    assert card.loader.flash(RUN, len(OLD)) == OLD


def test_one_that_does_not_go_is_a_fault_after_some_seconds() -> None:
    with Program() as program, Loader() as loader:
        loader.lay(RUN, OLD)
        with pytest.raises(DeviceFault, match="did not go into its loader within 10 s"):
            update(Card(program, loader, obeys=False), NEW)


@pytest.mark.parametrize(
    "packet", [(0x40, 0x4C, 0x4447), (0x40, 0x4D, 0x4446), (0xC0, 0x4C, 0x4446), (0x41, 0x4C, 0x4446)]
)
def test_no_other_request_leads_into_the_loader(card: Card, packet: tuple[int, int, int]) -> None:
    with pytest.raises(Stalled):
        card.program.ask(*packet)


def spliced(at: int, data: bytes) -> bytes:
    """A valid file with other bytes in it, and a recomputed suffix."""
    whole = with_suffix(NEW)
    body = (whole[:at] + data + whole[at + len(data) :])[:-4]
    return body + struct.pack("<I", zlib.crc32(body) ^ 0xFFFFFFFF)


BAD = {
    "nothing": (b"", "0 bytes"),
    "cut short": (with_suffix(NEW)[:-100], "no DFU suffix"),
    "changed": (b"\x01" + with_suffix(NEW)[1:], "CRC"),
    "another device's": (with_suffix(NEW)[:-12] + b"\x83\x04" + with_suffix(NEW)[-10:], "CRC"),
    "no image": (with_suffix(bytes(5000)), "no program for a line meter"),
    "another part's": (with_suffix(for_part(0x10460)), "part 0x00010460"),
    "too long": (with_suffix(NEW.ljust(images.MOST + 1, b"\0")), "more than 20480 bytes"),
    "longer than it says": (with_suffix(NEW + b"\0"), "its header says"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_program_is_said_before_anything_happens(name: str, tmp_path: Path) -> None:
    data, why = BAD[name]
    file = tmp_path / "meter.dfu"
    file.write_bytes(data)
    with pytest.raises(BadInput, match=why):
        read(file)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=600), st.builds(spliced, st.integers(0, len(NEW) + 15), st.binary(max_size=40))))
def test_no_file_is_taken_for_a_program_that_is_none(data: bytes) -> None:
    found, said = b"", ""
    try:
        found = parsed(data, "meter.dfu").data
    except BadInput as error:
        said = str(error)
    if found:
        assert len(found) <= images.MOST
        assert found[64:68] == b"LTMI"
    else:
        assert said.startswith("meter.dfu: ")
        assert "\n" not in said


def test_the_numbers_of_usbfs_are_the_kernels(tmp_path: Path) -> None:
    """By the compiler, from linux/usbdevice_fs.h."""
    source = tmp_path / "numbers.c"
    source.write_text(
        "#include <sys/ioctl.h>\n#include <linux/usbdevice_fs.h>\n#include <stddef.h>\n#include <stdio.h>\n"
        'int main(void) { printf("%lu %lu %lu %lu %lu", (unsigned long)USBDEVFS_CONTROL, '
        "(unsigned long)USBDEVFS_CLAIMINTERFACE, (unsigned long)USBDEVFS_RESET, "
        "sizeof(struct usbdevfs_ctrltransfer), offsetof(struct usbdevfs_ctrltransfer, data)); }\n"
    )
    subprocess.run(["gcc", "-o", tmp_path / "numbers", source], check=True, timeout=60)
    said = subprocess.run([tmp_path / "numbers"], capture_output=True, text=True, check=True, timeout=60).stdout
    size, at = 24, usbfs.Transfer.data.offset
    assert [int(number) for number in said.split()] == [usbfs.CONTROL, usbfs.CLAIM, usbfs.RESET, size, at]


def test_a_meter_is_found_by_its_terminal_and_others_by_their_numbers(tmp_path: Path) -> None:
    """As in /sys: a tty's device is an interface of the USB device, which has the numbers."""
    device = tmp_path / "devices" / "usb1" / PORT
    interface = device / f"{PORT}:1.0"
    (interface / "tty" / "ttyACM3").mkdir(parents=True)
    (tmp_path / "class" / "tty" / "ttyACM3").mkdir(parents=True)
    (tmp_path / "class" / "tty" / "ttyACM3" / "device").symlink_to(interface)
    (tmp_path / "bus" / "usb" / "devices").mkdir(parents=True)
    (tmp_path / "bus" / "usb" / "devices" / PORT).symlink_to(device)
    (tmp_path / "bus" / "usb" / "devices" / f"{PORT}:1.0").symlink_to(interface)
    (device / "idVendor").write_text("1209\n")
    (device / "idProduct").write_text("0001\n")
    terminal = tmp_path / "ttyACM3"
    terminal.touch()
    named = tmp_path / "meter"
    named.symlink_to(terminal)
    assert usbfs.port_of_terminal(named, tmp_path) == PORT
    assert usbfs.port_of_terminal(tmp_path / "nothing", tmp_path) is None
    assert (usbfs.meters(tmp_path), usbfs.loaders(tmp_path)) == ([PORT], [])
    (device / "idProduct").write_text("0002\n")
    assert (usbfs.meters(tmp_path), usbfs.loaders(tmp_path)) == ([], [PORT])


def test_a_device_that_is_no_usb_device_is_an_error_and_no_trace(tmp_path: Path) -> None:
    place = tmp_path / "bus" / "usb" / "devices" / PORT
    place.mkdir(parents=True)
    (place / "busnum").write_text("1\n")
    (place / "devnum").write_text("7\n")
    node = tmp_path / "dev" / "bus" / "usb" / "001" / "007"
    node.parent.mkdir(parents=True)
    os.mkfifo(node)
    with usbfs.UsbDevice(PORT, tmp_path, tmp_path / "dev") as device, pytest.raises(OSError, match="ioctl"):
        device.ask(0xA1, 3, 6)
