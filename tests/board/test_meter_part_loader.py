# SPDX-License-Identifier: Apache-2.0
"""The part's own loader and program in an emulated part: who begins whom, and an update over USB."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linetap.meterprogram.dfu import BLOCK
from linetap.meterprogram.image import HEADER
from linetap_core.clock import NS_PER_S
from loader_rig import MAKER, RUN, STAGED, forged, need_monocypher
from meterbuild import build_loader
from metersign import program_of, signed
from part.chip import Chip
from part.core import FLASH
from part.host import Host, needed
from part.meter import program
from part_rig import needs_part

pytestmark = needs_part

STEP_NS = 1_000_000
LOADER, METER = 0x0002, 0x0001
_folder = TemporaryDirectory(prefix="linetap-part-loader-")


@cache
def loader() -> Path:
    need_monocypher()
    made = Path(_folder.name) / "loader.elf"
    build_loader(made, MAKER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    return made


@cache
def image(version: tuple[int, int, int]) -> bytes:
    """The meter's own program."""
    return signed(program_of(program()), version, MAKER)


class Part:
    """A part from the factory: the loader in it, and `lies` in its flash, by place; a host on its cable."""

    def __init__(self, lies: dict[int, bytes]) -> None:
        self.chip = Chip(loader(), lambda _channel, _ns: 0.5)
        for place, data in lies.items():
            self.chip.core.write_flash(FLASH + place, data)
        self.host = Host(self.chip.usb, self.chip.time)
        self._steps: Generator[None] | None = None
        self._said: list[bytes | None] = []
        self.chip.world = self._turn

    def _turn(self) -> None:
        if self._steps is not None and next(self._steps, self) is self:
            self._steps = None

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        end_ns = self.chip.time.ns + round(seconds * NS_PER_S)
        while self.chip.time.ns < end_ns:
            self.chip.run(self.chip.time.ns + STEP_NS)
            if until():
                return True
        return False

    def comes(self, seconds: float = 3) -> int:
        """The number of what shows itself on USB within so long, once the bus has been reset as a host does."""
        assert self.run(seconds, self.chip.usb.attached), "nothing is on the bus"
        self.reset()
        device = self.ask(0x80, 6, 0x0100, length=18)
        assert device is not None
        self.ask(0x00, 9, 1)
        return int(struct.unpack_from("<H", device, 10)[0])

    def reset(self) -> None:
        self.chip.usb.bus_reset()
        self.run(0.03)

    def ask(self, kind: int, request: int, value: int = 0, length: int = 0, data: bytes = b"") -> bytes | None:
        """None is a stall."""

        def steps() -> Generator[None]:
            self._said.append((yield from self.host.control(kind, request, value, 0, length, data)))

        self._said.clear()
        self._steps = steps()
        assert self.run(2, lambda: bool(self._said)), "no answer"
        return self._said[0]

    def status(self) -> tuple[int, int, int]:
        """Status, milliseconds to wait, state."""
        status, low, _, state, _ = struct.unpack("<BHBBB", needed(self.ask(0xA1, 3, length=6), "GETSTATUS"))
        return status, low, state

    def download(self, data: bytes) -> tuple[int, int]:
        """Status and state at the end; it waits exactly as long as it is told."""
        for number, at in enumerate(range(0, len(data), BLOCK)):
            assert self.ask(0x21, 1, number, data=data[at : at + BLOCK]) is not None
            _, wait_ms, _ = self.status()
            self.run(wait_ms / 1000)
            assert self.status()[::2] == (0, 5), f"block {number}"
        assert self.ask(0x21, 1) is not None
        _, wait_ms, state = self.status()
        assert state == 7
        self.run(wait_ms / 1000)
        status, _, state = self.status()
        return status, state

    def flash(self, place: int, length: int) -> bytes:
        return self.chip.core.read_flash(FLASH + place, length)


def test_the_loader_judges_the_program_and_begins_it() -> None:
    part = Part({RUN: image((1, 2, 0))})
    assert part.comes() == METER
    assert part.chip.resets == 0
    assert part.chip._vectors == FLASH + RUN + HEADER, "interrupts are the program's"


def test_a_start_waits_less_than_a_second_for_the_signature() -> None:
    part = Part({RUN: image((1, 2, 0))})
    assert part.run(1, part.chip.usb.attached)
    assert 10_000_000 < part.chip.core.instructions < 30_000_000, "decision 0207 says 20"


@pytest.mark.parametrize("lies", [{}, {RUN: forged((1, 2, 0))}], ids=["none", "another's"])
def test_without_a_program_of_the_makers_the_loader_stays(lies: dict[int, bytes]) -> None:
    part = Part(lies)
    assert part.comes() == LOADER
    assert part.status()[::2] == (10, 10), "errFIRMWARE, dfuERROR"


def test_the_program_goes_into_the_loader_takes_another_and_comes_back_with_it() -> None:
    new = image((1, 3, 0))
    part = Part({RUN: image((1, 2, 0))})
    assert part.comes() == METER
    assert part.ask(0x40, 0x4C, 0x4446) == b""
    assert part.run(1, lambda: part.chip.resets == 1)
    assert part.comes() == LOADER
    assert part.status()[::2] == (0, 2)
    assert part.download(new) == (0, 2)
    part.reset()
    assert part.run(1, lambda: part.chip.resets == 2)
    assert part.comes() == METER
    assert part.flash(RUN, len(new)) == new
    assert part.flash(STAGED, 8) == b"\xff" * 8
    assert min(part.chip.flash.erased) * 2048 >= RUN, "a page of the loader was erased"


def test_a_copy_that_was_cut_off_is_ended_at_the_next_start() -> None:
    new = image((1, 3, 0))
    part = Part({RUN: image((1, 2, 0))[:4096] + bytes(2048), STAGED: new})
    assert part.comes(6) == METER
    assert part.flash(RUN, len(new)) == new


def test_the_loader_begins_the_program_when_nobody_goes_on_for_half_a_minute() -> None:
    part = Part({RUN: image((1, 2, 0))})
    assert part.comes() == METER
    part.ask(0x40, 0x4C, 0x4446)
    part.run(1, lambda: part.chip.resets == 1)
    assert part.comes() == LOADER
    assert not part.run(20, lambda: part.chip.resets > 1)
    assert part.run(15, lambda: part.chip.resets > 1)
    assert part.comes() == METER
