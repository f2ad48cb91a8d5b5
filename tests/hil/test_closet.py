# SPDX-License-Identifier: Apache-2.0
"""What a closet does to a unit that works: the codec pulled, the PBX's cable pulled, the broker away, the disk full.
One machine, from test to test."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine import Machine
from rig import (
    HOST,
    Office,
    call_ids,
    certify,
    checked,
    lit,
    one_call,
    played,
    record_of,
    short_calls,
    start_lines,
    state_of,
)

from linetap.records import CaptureState, RecorderState, ReporterState
from shipped_broker import ShippedBroker

pytestmark = pytest.mark.hil


@dataclass(frozen=True)
class Closet:
    machine: Machine
    broker: ShippedBroker
    pbx: Path  # the socket at the other end of the SMDR cable

    @property
    def recorder(self) -> RecorderState:
        return state_of(self.machine, "recorder", RecorderState)

    @property
    def reporter(self) -> ReporterState:
        return state_of(self.machine, "reporter", ReporterState)


@pytest.fixture(scope="module")
def closet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closet]:
    folder = tmp_path_factory.mktemp("closet")
    office = Office.new(folder / "office")
    broker = ShippedBroker(folder / "broker", pki=office.pki, pair=office.pki.host(HOST))
    with broker, Machine(folder) as machine:
        found = Closet(machine, broker, machine.sockets / "smdr")
        card = office.card(port=broker.port, changes={'# port = "/dev/linetap/smdr"': 'port = "/dev/linetap/smdr"'})
        machine.put("linetap.toml", card)
        machine.more = ["-device", "qemu-xhci", "-chardev", f"socket,id=smdr,path={found.pbx},server=on,wait=off"]
        machine.more += ["-device", "usb-serial,chardev=smdr,id=cable,always-plugged=on"]
        machine.boot()
        certify(machine, office)
        machine.until(lambda: found.recorder.lines and found.reporter.connected, "it works")
        yield found


def test_the_codec_is_pulled_and_comes_back(closet: Closet) -> None:
    """codec unplugged and back: told, shown, and recording again by itself"""
    machine = closet.machine
    machine.until(lambda: state_of(machine, "capture@1", CaptureState).fault is None, "capture works")
    machine.run("sh", "-c", "echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/unbind")
    machine.until(lambda: "codec" in checked(machine), "the check says so")
    machine.until(lambda: lit(machine, "fault"), "FAULT is lit")
    machine.run("sh", "-c", "echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/bind")
    assert record_of(machine, one_call(machine)).disposition == "recorded"


def test_the_smdr_cable_is_pulled(closet: Closet) -> None:
    """SMDR unplugged and back: calls go on, and what the PBX says afterwards is heard"""
    machine = closet.machine
    machine.until(lambda: closet.recorder.smdr_connected, "the port is open")
    machine.qmp("device_del", id="cable")
    machine.until(lambda: not closet.recorder.smdr_connected, "the recorder has seen it")
    assert record_of(machine, one_call(machine)).disposition == "recorded"
    machine.qmp("device_add", driver="usb-serial", chardev="smdr", id="cable", **{"always-plugged": True})
    machine.until(lambda: closet.recorder.smdr_connected, "the port is open again")
    before = _smdr_lines(closet)
    with socket.socket(socket.AF_UNIX) as pbx:
        pbx.connect(str(closet.pbx))
        machine.until(lambda: pbx.send(b"no line of a call\r\n") and _smdr_lines(closet) > before, "a line is heard")


def test_the_broker_is_away(closet: Closet) -> None:
    """the broker away: calls are recorded, and every report comes when it is back"""
    machine = closet.machine
    closet.broker.kill()
    machine.until(lambda: not closet.reporter.connected, "it is away")
    before = len(call_ids(machine))
    start_lines(machine, short_calls(6))
    played(machine, 200)
    newest = closet.recorder.outbox_seq
    assert len(call_ids(machine)) == before + 6
    assert closet.reporter.delivered_seq < newest
    closet.broker.start()
    machine.until(lambda: closet.reporter.connected and closet.reporter.delivered_seq >= newest, "all is told")


def test_the_disk_fills_up(closet: Closet) -> None:
    """disk full: a call that could not be kept is not announced either; recording goes on when there is room"""
    machine = closet.machine
    free = int(machine.run("stat", "-f", "-c", "%a", "/var/lib/linetap")) * 4096
    machine.run("fallocate", "-l", str(free - (100 << 20)), "/var/lib/linetap/full")
    machine.until(lambda: closet.recorder.recording_refused == "disk_full", "it says so")
    machine.until(lambda: lit(machine, "fault"), "FAULT is lit")
    refused = record_of(machine, one_call(machine))
    assert (refused.disposition, refused.why) == ("discarded", "disk_full")
    machine.run("rm", "/var/lib/linetap/full")
    machine.until(lambda: closet.recorder.recording_refused is None, "there is room")
    assert record_of(machine, one_call(machine)).disposition == "recorded"


def _smdr_lines(closet: Closet) -> int:
    return closet.recorder.smdr_lines + closet.recorder.smdr_bad
