# SPDX-License-Identifier: Apache-2.0
"""The meter's port on a real terminal; `./build.sh bench meter` measures how long it delays capture."""

from __future__ import annotations

import os
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import until
from linetap.board.meter.port import MOST_READ, SerialPort
from linetap_core.clock import SYSTEM


class Terminal:
    """A terminal pair; `ours` is the adapter's end."""

    def __init__(self, link: Path) -> None:
        self.ours, self._theirs = os.openpty()
        self.link = link
        tty.setraw(self._theirs)
        link.symlink_to(os.ttyname(self._theirs))

    def unplug(self) -> None:
        for end in (self.ours, self._theirs):
            os.close(end)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "meter")


@pytest.fixture
def port(terminal: Terminal) -> Iterator[SerialPort]:
    port = SerialPort(str(terminal.link))
    until(lambda: port.ready(SYSTEM.monotonic_ns()))
    yield port
    port.close()


def test_a_terminal_on_which_nothing_waits_is_not_read(
    terminal: Terminal, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's read would wait for its worker, in the loop with the hard deadline."""
    reads: list[int] = []

    def read(fd: int, most: int) -> bytes:
        reads.append(most)
        return os_read(fd, most)

    os_read = os.read
    monkeypatch.setattr(os, "read", read)
    assert [port.read() for _ in range(3)] == [b"", b"", b""]
    assert reads == []
    os.write(terminal.ours, b"frame")
    assert until(port.read) == b"frame"
    assert reads == [MOST_READ]


def test_an_adapter_that_is_unplugged_while_it_is_silent_is_noticed_at_the_next_look(
    terminal: Terminal, port: SerialPort, caplog: pytest.LogCaptureFixture
) -> None:
    assert port.read() == b""
    terminal.unplug()
    until(lambda: port.read() == b"" and "meter_lost" in caplog.text)
    assert not port.ready(SYSTEM.monotonic_ns())
