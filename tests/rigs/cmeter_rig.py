# SPDX-License-Identifier: Apache-2.0
"""The meter's C program, compiled for this machine and driven sample by sample; and the simulated meter for
comparison.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import Deframer
from linetap.ring import I16
from linetap_bench.exchange.meter import Meter
from linetap_bench.exchange.meterlines import VoltsAt
from linetap_core.clock import NS_PER_MS
from meter_rig import START_NS
from meterbuild import EMULATOR, PART_GCC, build_emulated, build_host, emulator

LINES = wire.MOST_CHANNELS
LOOP_CLOSED = 32768  # the tamper loop's code: half
AT_A_TIME = 200  # samples between two answers: their output fits a pipe
FLUSH_MS = 60  # after this time the last edge has been reported, even by the slower of the two
ON_THE_LINE_NS = 4_900_000  # the longest transmission of a frame, and less than the time to the next sample

Frame = tuple[int, int, bytes]  # type, sequence, payload

_folder = TemporaryDirectory(prefix="linetap-meter-")


Command = Sequence[str]


@cache
def program() -> Command:
    """The program, compiled once a run."""
    return [str(build_host(Path(_folder.name) / "host"))]


@cache
def emulated() -> Command:
    """The same for the part's core, in an emulator; skipped if there is none."""
    for tool in (PART_GCC, EMULATOR):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: what is compiled for the part's core is not run")
    return emulator(build_emulated(Path(_folder.name) / "emulated.elf"))


@dataclass
class Answers:
    """The program's outputs, each with the time of the input before it, in microseconds of its clock."""

    sent: bytes = b""
    relays: list[tuple[int, int]] = field(default_factory=list)
    contacts: list[tuple[int, int]] = field(default_factory=list)  # the open ones
    lamps: list[tuple[int, int, int]] = field(default_factory=list)  # green, red
    converter: bytes = b""  # the last one read: hardware/meter/host/twowire.h

    def frames(self) -> list[Frame]:
        deframer = Deframer()
        found = deframer.feed(self.sent)
        assert deframer.noise == 0
        return found


class CMeter:
    """The interface of bench.meter's `Meter` to a cable, for the C program."""

    def __init__(
        self, command: Command, volts: VoltsAt, now_ns: int = START_NS, boot: int = 1, beginning_us: int = 0
    ) -> None:
        self._volts = volts
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.tamper_code, self.power_failing = LOOP_CLOSED, False
        self.answers = Answers()
        self.restart(now_ns, boot, beginning_us)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate(timeout=120)
        assert kind is not None or self._process.returncode == 0

    def restart(self, now_ns: int, boot: int, beginning_us: int = 0) -> None:
        self._began_ns, self._beginning_us = now_ns, beginning_us
        self._next = beginning_us // wire.SAMPLE_US + 1
        self._say(b"B" + struct.pack("<I", boot))
        self._answer(beginning_us)

    def us_at(self, now_ns: int) -> int:
        return self._beginning_us + (now_ns - self._began_ns) // 1000

    def room(self, size: int) -> None:
        """Sets the free bytes of the UART's queue, once."""
        self._say(b"Q" + struct.pack("<H", size))

    def sample(self, number: int, volts: Sequence[int]) -> None:
        at_us = number * wire.SAMPLE_US
        row = [*volts, *[0] * (LINES - len(volts))]
        self._say(b"S" + struct.pack(f"<Q{LINES}hHB", at_us, *row, self.tamper_code, self.power_failing))
        self._answer(at_us)

    def samples(self, first: int, volts: I16) -> None:
        """Sends int16 (lines, n), from number `first` on."""
        for at in range(0, volts.shape[1], AT_A_TIME):
            for i, row in enumerate(volts[:, at : at + AT_A_TIME].T.tolist()):
                number = first + at + i
                word = struct.pack(f"<Q{LINES}hHB", number * wire.SAMPLE_US, *row, self.tamper_code, self.power_failing)
                self._say(b"S" + word)
            self._answer((first + at) * wire.SAMPLE_US)

    def told(self, data: bytes, at_us: int) -> None:
        for at in range(0, len(data), 4096):
            piece = data[at : at + 4096]
            self._say(b"H" + struct.pack("<QH", at_us, len(piece)) + piece)
            self._answer(at_us)

    def sent_until(self, now_ns: int) -> bytes:
        now_us = self.us_at(now_ns)
        while self._next * wire.SAMPLE_US <= now_us:
            at_ms = (self._began_ns + (self._next * wire.SAMPLE_US - self._beginning_us) * 1000) // NS_PER_MS
            self.sample(self._next, self._volts(at_ms, 1)[:, 0].tolist())
            self._next += 1
        sent, self.answers.sent = self.answers.sent, b""
        return sent

    def receive(self, data: bytes, now_ns: int) -> None:
        before = self.sent_until(now_ns)
        self.told(data, self.us_at(now_ns))
        self.answers.sent = before + self.answers.sent

    def converter_is(self, what: str, which: int, at: int = 0, value: int = 1) -> None:
        """Sets a fault of one of the converters on the bus, from 0; `what` as in hardware/meter/host/twowire.h."""
        self._say(b"W" + what.encode() + bytes([which, at, value]))

    def converter(self, which: int) -> bytes:
        self._say(b"D" + bytes([which]))
        self._answer(0)
        return self.answers.converter

    def _say(self, word: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word)

    def _answer(self, at_us: int) -> None:
        """Reads all outputs so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b".")
        self._process.stdin.flush()
        while True:
            head = self._process.stdout.read(3)
            assert len(head) == 3, "the program has ended; what it said is on standard error"
            kind, length = head[:1], int.from_bytes(head[1:], "little")
            data = self._process.stdout.read(length)
            if kind == b".":
                return
            if kind == b"F":
                self.answers.sent += data
            elif kind == b"R":
                self.answers.relays.append((at_us, data[0]))
            elif kind == b"C":
                self.answers.contacts.append((at_us, data[0]))
            elif kind == b"L":
                self.answers.lamps.append((at_us, data[0], data[1]))
            elif kind == b"D":
                self.answers.converter = data


def said_by_c(volts: I16, told: Iterable[bytes] = (), boot: int = 1, command: Command | None = None) -> list[Frame]:
    """All frames of samples 1, 2, ... int16 (8, n), 0.01 V, after it has received `told`."""
    with CMeter(command or program(), lambda _first, n: np.zeros((LINES, n), np.int16), boot=boot) as meter:
        for data in told:
            meter.told(data, 0)
        meter.samples(1, _padded(volts))
        return meter.answers.frames()


def said_by_bench(volts: I16, told: Iterable[bytes] = ()) -> tuple[list[Frame], int]:
    """The same from bench.meter, and its boot number."""
    padded = _padded(volts)
    start_ms = START_NS // NS_PER_MS

    def at(first_ms: int, n: int) -> I16:
        first = first_ms - start_ms - 1
        return padded[:, np.clip(np.arange(first, first + n), 0, padded.shape[1] - 1)]

    meter = Meter(at, LINES, START_NS)
    for data in told:
        meter.receive(data, START_NS)
    sent = meter.sent_until(START_NS + padded.shape[1] * NS_PER_MS + ON_THE_LINE_NS)
    return Deframer().feed(sent), meter._boot


def _padded(volts: I16) -> I16:
    """The volts, padded to whole frames."""
    more = FLUSH_MS + -volts.shape[1] % wire.SAMPLES_A_FRAME
    return np.concatenate([volts, np.repeat(volts[:, -1:], more, axis=1)], axis=1)


def edges_of(frames: Iterable[Frame], until: int) -> list[tuple[int, int, str, bool]]:
    """(sample, channel, which, level) up to sample `until`, in order."""
    found = []
    for code, _, payload in frames:
        if code == wire.EDGE.code:
            at_us, channel, edge, level = wire.EDGE.head.unpack(payload)
            assert at_us % wire.SAMPLE_US == 0
            found.append((at_us // wire.SAMPLE_US, channel, wire.EDGES[edge], bool(level)))
    return sorted(each for each in found if each[0] <= until)


def payloads(frames: Iterable[Frame], frame: wire.Frame) -> list[bytes]:
    return [payload for code, _, payload in frames if code == frame.code]
