# SPDX-License-Identifier: Apache-2.0
"""Two lines with a line meter on a cable: ringing is seen before the answer, and the cable may be pulled.

The meter is the bench's, on this machine: an emulated processor has no time for it besides its calls.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from machine import Machine
from rig import KEEPS, Office, call_ids, idle, record_of, state_of

from linetap.ring import I16
from linetap_bench.exchange.meter import Meter
from linetap_core.clock import SYSTEM
from linetap_core.records import CaptureState, MeterState, RecorderState

pytestmark = pytest.mark.hil
METER = 'meter_port = "/dev/linetap/card1/meter"'
ON_HOOK, OFF_HOOK, RINGING = 4800, 850, 10_600  # hundredths of a volt; the last is a peak, at 25 Hz


class Exchange:
    """Line 1 is idle. Line 2 changes to the given state, from then on."""

    def __init__(self) -> None:
        self.rings = self.is_lifted = False

    def __call__(self, first_ms: int, count: int) -> I16:
        volts = np.full((2, count), ON_HOOK, np.int16)
        if self.is_lifted:
            volts[1] = OFF_HOOK
        elif self.rings:
            ms = np.arange(first_ms, first_ms + count)
            volts[1] += (RINGING * np.sin(2 * np.pi * 0.025 * ms)).astype(np.int16)
        return volts


@contextlib.contextmanager
def measured(exchange: Exchange, cable: Path) -> Iterator[None]:
    """The meter at this end of the cable. Unread data are lost, as on a wire."""
    over = threading.Event()

    def work() -> None:
        meter = Meter(exchange, 2, SYSTEM.monotonic_ns())
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(cable))
            wire.setblocking(False)
            while not over.wait(0.005):
                with contextlib.suppress(BlockingIOError):
                    meter.receive(wire.recv(4096), SYSTEM.monotonic_ns())
                with contextlib.suppress(BlockingIOError):
                    wire.send(meter.sent_until(SYSTEM.monotonic_ns()))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_call_that_comes_in(machine: Machine, tmp_path: Path) -> None:
    """the line meter: ringing is seen, the call that comes in recorded; its cable pulled and put back"""
    changes = {f"# {METER}": METER, **KEEPS}
    machine.put("linetap.toml", Office.new(tmp_path / "office").card(lines=2, changes=changes))
    exchange, cable = Exchange(), machine.sockets / "meter"
    machine.more = [
        "-device", "qemu-xhci", "-chardev", f"socket,id=unit,path={cable},server=on,wait=off",
        "-device", "usb-serial,chardev=unit,serial=line-meter,id=cable,always-plugged=on",
    ]  # fmt: skip
    machine.boot()
    with measured(exchange, cable):
        machine.until(lambda: _meter(machine).connected and idle(machine), "the meter is heard")
        exchange.rings = True
        machine.until(lambda: _said(machine, "ringing"), "line 2 rings")
        exchange.is_lifted = True
        machine.until(lambda: _said(machine, "recording"), "line 2 is recorded")
        SYSTEM.sleep(3)  # of talk
        exchange.rings = exchange.is_lifted = False
        machine.until(lambda: idle(machine), "it is over")
        (call,) = call_ids(machine)
        record = record_of(machine, call)
        assert (record.line, record.direction, record.disposition) == (2, "in", "recorded")
        assert record.ring_at is not None
        machine.qmp("device_del", id="cable")
        machine.until(lambda: not _meter(machine).connected, "capture has seen it")
        machine.qmp("device_add", driver="usb-serial", chardev="unit", serial="line-meter", id="cable",
                    **{"always-plugged": True})  # fmt: skip
        machine.until(lambda: _meter(machine).connected, "the meter is heard again")


def _meter(machine: Machine) -> MeterState:
    found = state_of(machine, "capture@1", CaptureState).meter
    assert found is not None
    return found


def _said(machine: Machine, state: str) -> bool:
    return any(line.state == state for line in state_of(machine, "recorder", RecorderState).lines if line.line == 2)
