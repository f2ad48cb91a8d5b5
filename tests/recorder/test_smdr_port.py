# SPDX-License-Identifier: Apache-2.0
"""The PBX's port over a real terminal pair: partial lines, noise, lines without end, and a pulled cable."""

from __future__ import annotations

import contextlib
import logging
import os
import termios
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from smdr_rig import NUMBER, panasonic

from linetap.recorder.smdr.port import MOST_BYTES, MOST_WAITING, Assembler, SmdrPort
from linetap_core.clock import SYSTEM

DEADLINE_NS = 20 * 10**9
LINE = panasonic(0, 5, trunk="01")


class Cable:
    """A terminal pair whose far end has a stable name, like /dev/serial/by-path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master = -1
        self.plug()

    def plug(self) -> None:
        self._master, slave = os.openpty()
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))
        os.set_blocking(self._master, False)
        self._slave = slave  # open until the port has it: an unused pair disappears

    def say(self, data: bytes) -> None:
        until = SYSTEM.monotonic_ns() + DEADLINE_NS
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._master, data) :]
            assert SYSTEM.monotonic_ns() < until, "nobody reads"

    def baud(self) -> int:
        return int(termios.tcgetattr(self._slave)[4])

    def pull(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self._master >= 0:
            self.pull()


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    made = Cable(tmp_path / "ttyPBX")
    yield made
    made.close()


@pytest.fixture
def port(cable: Cable) -> Iterator[SmdrPort]:
    made = SmdrPort(str(cable.path), 1200, SYSTEM, first_wait_s=0.02)
    made.start()
    eventually(lambda: made.connected)
    yield made
    made.stop()
    assert not made._thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    until = SYSTEM.monotonic_ns() + DEADLINE_NS
    while not condition():
        assert SYSTEM.monotonic_ns() < until
        SYSTEM.sleep(0.01)


def lines(port: SmdrPort, number: int) -> list[str]:
    """This many lines, as soon as they have arrived."""
    found: list[str] = []

    def look() -> bool:
        found.extend(line for _, line in port.take_lines())
        return len(found) >= number

    eventually(look)
    return found


def test_lines_come_whole_at_the_configured_speed(cable: Cable, port: SmdrPort) -> None:
    before = SYSTEM.utc_ns()
    cable.say(LINE[:20].encode())
    cable.say(LINE[20:].encode() + b"\r\n\x0c\r\n" + LINE.encode() + b"\r")
    eventually(lambda: len(port._lines) == 2)
    found = port.take_lines()
    assert [line for _, line in found] == [LINE, LINE]
    assert all(before <= arrived <= SYSTEM.utc_ns() for arrived, _ in found)
    assert cable.baud() == termios.B1200
    assert port.bad == 0


def test_garbage_is_counted_and_the_next_line_is_read(cable: Cable, port: SmdrPort) -> None:
    cable.say(bytes(range(128, 256)) + b"\n" + LINE.encode() + b"\n")
    assert lines(port, 1) == [LINE]
    assert port.bad == 1


def test_a_pulled_cable_is_found_again(cable: Cable, port: SmdrPort, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cable.say(b"O 11/25 07:5" + NUMBER.encode())
    eventually(lambda: len(port._assembler._held) > 0)
    cable.pull()
    eventually(lambda: not port.connected)
    cable.plug()
    eventually(lambda: port.connected)
    cable.say(LINE.encode() + b"\n")
    assert lines(port, 1) == [LINE]
    assert port.bad == 1  # the half line
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert told[0].startswith(f"smdr_port: {cable.path}: ")
    assert NUMBER not in caplog.text


def test_a_port_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    port = SmdrPort(str(tmp_path / "ttyPBX"), 9600, SYSTEM, first_wait_s=0.02)
    port.start()
    cable = Cable(tmp_path / "ttyPBX")
    try:
        eventually(lambda: port.connected)
    finally:
        port.stop()
        cable.close()
    assert not port._thread.is_alive()


@pytest.mark.parametrize("name", ["folder", "file"])
def test_what_is_no_port_ends_nothing(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_text("x")
    port = SmdrPort(str(path), 9600, SYSTEM, first_wait_s=0.01)
    port.start()
    eventually(lambda: "smdr_port" in caplog.text)
    port.stop()
    assert not port.connected
    assert not port._thread.is_alive()


def test_lines_that_nobody_takes_are_dropped_and_counted(cable: Cable, port: SmdrPort) -> None:
    cable.say(b"".join(b"%d\n" % n for n in range(MOST_WAITING + 50)))
    eventually(lambda: port.bad == 50)
    eventually(lambda: len(port._lines) == MOST_WAITING)
    assert port.take_lines()[-1][1] == str(MOST_WAITING + 49)


def test_ten_megabytes_without_an_end_are_one_bad_line() -> None:
    assembler = Assembler()
    block = b"7" * 4096
    tracemalloc.start()
    for _ in range(2560):
        assert assembler.feed(block) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024
    for _ in range(1000):  # and in pieces that are short enough
        assembler.feed(b"7")
    assert len(assembler._held) <= MOST_BYTES
    assert assembler.feed(b"\n" + LINE.encode() + b"\n") == [LINE]
    assert assembler.bad == 1


def test_the_longest_line_is_one_and_a_longer_one_is_none() -> None:
    assembler = Assembler()
    assert assembler.feed(b"x" * MOST_BYTES + b"\n" + b"y" * (MOST_BYTES + 1) + b"\nz\n") == ["x" * MOST_BYTES, "z"]
    assert assembler.bad == 1


def test_byte_by_byte_is_the_same() -> None:
    data = f"\x00\r\n{LINE}\r\n\r\n\x11 head \x13\n{LINE}".encode()
    whole, piecewise = Assembler(), Assembler()
    pieces = [line for n in range(len(data)) for line in piecewise.feed(data[n : n + 1])]
    assert whole.feed(data) == pieces == [LINE, " head"]
    whole.cut()
    assert whole.bad == 1
