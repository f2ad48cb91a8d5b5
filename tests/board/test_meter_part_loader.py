# SPDX-License-Identifier: Apache-2.0
"""The part's own loader and program in an emulated part: how each starts the other, and an update over USB."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from emulator.chip import Chip
from emulator.core import FLASH
from emulator.host import Host, needed
from emulator.meter import program
from linetap.meterprogram.command import replace_program
from linetap.meterprogram.image import HEADER, parsed, with_suffix
from linetap_core.clock import NS_PER_S
from loader_rig import AREA, MAKER, PAGE, RUN, STAGED, forged, need_monocypher
from meterbuild import build_loader
from metersign import program_of, signed
from part_rig import needs_part

pytestmark = needs_part

STEP_NS = 1_000_000
LOADER, METER = 0x0002, 0x0001
NMI = 2
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
    """A part from the factory: with the loader, and `lies` in its flash, by place; a host on its cable."""

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
        """The product number that appears on USB within this time, after a bus reset by the host."""
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
        """The answer; None is a stall."""

        def steps() -> Generator[None]:
            self._said.append((yield from self.host.control(kind, request, value, 0, length, data)))

        self._said.clear()
        self._steps = steps()
        assert self.run(2, lambda: bool(self._said)), "no answer"
        return self._said[0]

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
    assert part.ask(0xA1, 5, length=1) == b"\x0a", "dfuERROR"


class Unit:
    """The unit at the part's cable, with the interface of `linetap meter update`: bus, device and clock."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def _is(self, product: int) -> list[str]:
        return ["1-1.2"] if self._part.chip.usb.attached() and self._part.comes() == product else []

    def meters(self) -> list[str]:
        return self._is(METER)

    def loaders(self) -> list[str]:
        return self._is(LOADER)

    @contextmanager
    def open(self, _port: str) -> Iterator[Unit]:
        yield self

    def claim(self) -> None:
        pass

    def give(self, kind: int, request: int, value: int, data: bytes) -> None:
        if self._part.ask(kind, request, value, data=data) is None:
            raise OSError("stalled")

    def ask(self, kind: int, request: int, length: int) -> bytes:
        return needed(self._part.ask(kind, request, length=length), "it")

    def reset(self) -> None:
        self._part.reset()

    def sleep(self, seconds: float) -> None:
        self._part.run(seconds)

    def monotonic_ns(self) -> int:
        return self._part.chip.time.ns

    unsteered_ns = utc_ns = monotonic_ns


def test_linetaps_own_client_updates_the_part() -> None:
    new = image((1, 2, 1))
    part = Part({RUN: image((1, 2, 0))})
    assert part.comes() == METER
    unit = Unit(part)
    began_ns = unit.monotonic_ns()
    replace_program(unit, "1-1.2", parsed(with_suffix(new), "meter.dfu"), unit, lambda _sent: None)
    assert part.flash(RUN, len(new)) == new
    assert part.flash(STAGED, 8) == b"\xff" * 8
    assert part.chip.resets == 2, "the program's, for the loader, and the loader's"
    assert min(part.chip.flash.erased) * PAGE >= RUN, "a page of the loader was erased"
    assert unit.monotonic_ns() - began_ns < 15 * NS_PER_S, "hardware/README.md says some ten seconds"


def test_bytes_whose_code_does_not_hold_do_not_stop_the_loader() -> None:
    """NMI, which the part raises when it reads eight bytes whose write was cut: raised here during verification. The
    flag must be cleared, or the part raises it forever.
    """
    part = Part({RUN: image((1, 2, 0))})
    part.run(0.05)
    part.chip.flash.put("ECCR", "ECCD", 1)
    part.chip.core.enter(NMI, FLASH)
    part.run(0.01)
    assert part.chip.flash.field("ECCR", "ECCD") == 0
    assert part.comes() == METER
    assert part.chip.resets == 0


def test_a_copy_that_the_power_cuts_off_is_ended_at_the_next_start() -> None:
    new = image((1, 3, 0))
    first = Part({RUN: image((1, 2, 0)), STAGED: new})
    assert first.run(3, lambda: len(first.chip.flash.erased) == 3), "it copies"
    first.run(0.01)
    second = Part({RUN: first.flash(RUN, AREA), STAGED: first.flash(STAGED, AREA)})
    assert second.flash(RUN, len(new)) != new
    assert second.comes(6) == METER
    assert second.flash(RUN, len(new)) == new


def test_the_loader_begins_the_program_when_nobody_goes_on_for_half_a_minute() -> None:
    part = Part({RUN: image((1, 2, 0))})
    assert part.comes() == METER
    part.ask(0x40, 0x4C, 0x4446)
    part.run(1, lambda: part.chip.resets == 1)
    assert part.comes() == LOADER
    part.chip.time.ns += 25 * NS_PER_S
    assert not part.run(0.1, lambda: part.chip.resets > 1)
    part.chip.time.ns += 5 * NS_PER_S
    assert part.run(0.1, lambda: part.chip.resets > 1)
    assert part.comes() == METER
