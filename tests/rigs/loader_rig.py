# SPDX-License-Identifier: Apache-2.0
"""The meter's loader compiled for this machine, with simulated flash and power cuts; and signed images."""

from __future__ import annotations

import struct
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linetap.meterprogram.dfu import BLOCK
from linetap.meterprogram.image import Image, header
from linetap_core.clock import NS_PER_S
from meterbuild import MONOCYPHER, build_loader_host
from metersign import signed

RUN, STAGED, AREA, PAGE = 0x6000, 0xB000, 0x5000, 2048
LIMIT_S = 60
MAKER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_folder = TemporaryDirectory(prefix="linetap-meter-loader-")


def need_monocypher() -> None:
    if not (MONOCYPHER / "monocypher.c").exists():
        pytest.skip("build/monocypher is not there: the loader is not compiled (./build.sh test fetches it)")


@cache
def loader() -> str:
    """The loader, compiled once a run."""
    need_monocypher()
    key = MAKER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return str(build_loader_host(Path(_folder.name) / "loader", key))


def program(seed: int, length: int = 5000) -> bytes:
    return np.random.default_rng(seed).bytes(length)


@cache
def image(version: tuple[int, int, int], seed: int = 1, length: int = 5000) -> bytes:
    return signed(program(seed, length), version, MAKER)


def as_file(data: bytes) -> Image:
    """The image as sent by the command, valid or not."""
    return Image((0, 0, 0), data)


def forged(version: tuple[int, int, int]) -> bytes:
    """An image signed by another key."""
    return signed(program(1), version, Ed25519PrivateKey.generate())


def for_part(part: int) -> bytes:
    body = bytearray(header((1, 0, 0), 5000) + program(1))
    struct.pack_into("<I", body, 4, part)
    return MAKER.sign(bytes(body)) + bytes(body)


class PowerIsCut(Exception):
    pass


class NoTime:
    """A clock whose sleep lets the loader work."""

    def __init__(self, device: Loader) -> None:
        self._device, self.slept_s = device, 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self._device.work()

    def monotonic_ns(self) -> int:
        return round(self.slept_s * NS_PER_S)

    unsteered_ns = utc_ns = monotonic_ns


class Loader:
    """The endpoint 0 of a loader, with the interface of a device in `linetap.meterprogram.dfu`; PowerIsCut from the
    interrupted operation.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen([loader()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(LIMIT_S) == 0, "C's sanitizers, or a word that it does not know"

    def _say(self, word: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word)

    def _said(self, count: int) -> bytes:
        assert self.process.stdout is not None
        data = b""
        while len(data) < count:
            more = self.process.stdout.read(count - len(data))
            assert more, "it has ended"
            data += more
            if data[:1] == b"c" and count == 1:
                raise PowerIsCut
        return data

    def lay(self, place: int, data: bytes) -> None:
        """Writes into flash, as a factory does."""
        padded = data + b"\xff" * (-len(data) % 8)
        for at in range(0, len(padded), 8):
            self._say(b"P" + struct.pack("<I", place + at) + padded[at : at + 8])

    def flash(self, place: int, length: int) -> bytes:
        self._say(b"F" + struct.pack("<IH", place, length))
        return self._said_raw(length)

    def _said_raw(self, count: int) -> bytes:
        assert self.process.stdout is not None
        data = b""
        while len(data) < count:
            data += self.process.stdout.read(count - len(data))
        return data

    def start(self) -> bool:
        """Starts it; returns whether it starts the program. Otherwise the loader stays, as it also does on the
        program's request.
        """
        self._say(b"B")
        begins = self._said(1) == b"p"
        self.configure()
        return begins

    def configure(self) -> None:
        assert self.raw(struct.pack("<BBHHH", 0x00, 9, 1, 0, 0)) == b"d"

    def cut_power_in(self, operations: int) -> None:
        self._say(b"C" + struct.pack("<I", operations))

    def raw(self, packet: bytes) -> bytes:
        self._say(b"S" + packet)
        kind = self._said(1)
        return kind + self._said_raw(self._said_raw(1)[0]) if kind == b"r" else kind

    def give(self, kind: int, request: int, value: int, data: bytes) -> None:
        said = self.raw(struct.pack("<BBHHH", kind, request, value, 0, len(data)))
        if said == b"x":
            raise OSError("stalled")
        if said == b"t":
            self.data(data)
        else:
            assert said == b"d"

    def data(self, data: bytes) -> None:
        self._say(b"D" + bytes([len(data)]) + data)
        assert self._said(1) == b"d"

    def ask(self, kind: int, request: int, length: int) -> bytes:
        said = self.raw(struct.pack("<BBHHH", kind, request, 0, 0, length))
        if said == b"x":
            raise OSError("stalled")
        return said[1:]

    def work(self) -> bool:
        """Executes pending work; returns whether the loader ends."""
        self._say(b"W")
        return self._said(1) == b"g"

    def works_by_itself(self) -> None:
        self._say(b"A")

    def reset(self) -> None:
        self._say(b"R")

    def state(self) -> tuple[int, int]:
        """Status and state from DFU_GETSTATUS, without pending work."""
        data = self.ask(0xA1, 3, 6)
        return data[0], data[4]

    def send(self, data: bytes) -> None:
        """Sends it like a host that checks nothing."""
        for number, at in enumerate(range(0, len(data), BLOCK)):
            self.give(0x21, 1, number, data[at : at + BLOCK])
            self.state()
            self.work()
            assert self.state() == (0, 5)
        self.give(0x21, 1, 0, b"")
        self.state()
        self.work()
