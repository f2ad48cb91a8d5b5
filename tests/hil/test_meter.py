# SPDX-License-Identifier: Apache-2.0
"""Two lines with a line meter on a cable: who rings is seen before anybody answers, and a cable may be pulled."""

from __future__ import annotations

from pathlib import Path

import pytest
from machine import Machine
from rig import Office, call_ids, certify, one_call, played, record_of, start_lines, state_of

from linetap.records import CaptureState, MeterState

pytestmark = pytest.mark.hil
METER = 'meter_port = "/dev/linetap/card1/meter"'
COMES_IN = """lines = 2
seed = 3
language = "ko"
[[call]]
line = 2
start_s = 2.0
direction = "in"
rings = 2
talk_s = 6.0
"""


def test_a_call_that_comes_in(machine: Machine, tmp_path: Path) -> None:
    """the line meter: ringing is seen, the call that comes in recorded; its cable pulled and put back"""
    office = Office.new(tmp_path / "office")
    machine.put("linetap.toml", office.card(lines=2, changes={f"# {METER}": METER}))
    cable = f"{machine.sockets}/meter"
    machine.more = [
        "-device", "qemu-xhci", "-chardev", f"socket,id=unit,path={cable},server=on,wait=off",
        "-chardev", f"socket,id=wires,path={cable},reconnect-ms=200",
        "-device", "usb-serial,chardev=unit,serial=line-meter,id=cable,always-plugged=on",
        "-device", "usb-serial,chardev=wires,serial=measured-wires,always-plugged=on",
    ]  # fmt: skip
    machine.boot()
    certify(machine, office)
    start_lines(machine, COMES_IN, meter=True)
    machine.until(lambda: _meter(machine).connected, "the meter is heard")
    played(machine, 120)
    (call,) = call_ids(machine)
    record = record_of(machine, call)
    assert (record.direction, record.disposition) == ("in", "recorded")
    assert record.ring_at is not None
    machine.qmp("device_del", id="cable")
    machine.until(lambda: not _meter(machine).connected, "capture has seen it")
    assert record_of(machine, one_call(machine, lines=2)).disposition == "recorded"
    machine.qmp("device_add", driver="usb-serial", chardev="unit", serial="line-meter", id="cable",
                **{"always-plugged": True})  # fmt: skip
    machine.until(lambda: _meter(machine).connected, "the meter is heard again")


def _meter(machine: Machine) -> MeterState:
    found = state_of(machine, "capture@1", CaptureState).meter
    assert found is not None
    return found
