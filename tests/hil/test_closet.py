# SPDX-License-Identifier: Apache-2.0
"""Faults of a closet on a working unit: the codec pulled, the PBX's cable pulled, the broker away, the disk full. One
machine, used from test to test.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hil_table import NOTES
from keptunit import Site
from leds import shows
from machine import Kept, Machine
from rig import (
    UNIT,
    Office,
    call_ids,
    checked,
    configure,
    idle,
    one_call,
    played,
    record_of,
    records,
    short_calls,
    start_lines,
    state_of,
    vault,
)

from broker import until
from linetap_core.records import CallRecord, CaptureState, RecorderState, ReporterState
from shipped_broker import Client, ShippedBroker

pytestmark = pytest.mark.hil
CALLS = f"linetap/v1/{UNIT}/call"
AWAY_S, WAITING = 60, 5000
WRITE_S = TELL_S = 400


@dataclass(frozen=True)
class Closet:
    office: Office
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
def closet(tmp_path_factory: pytest.TempPathFactory, site: Site, kept: Kept) -> Iterator[Closet]:
    folder = tmp_path_factory.mktemp("closet")
    with site.broker(folder / "broker") as broker, site.unit(kept, folder, broker) as machine:
        found = Closet(site.office, machine, broker, machine.sockets / "smdr")
        wire = {"type": "unix", "data": {"path": str(found.pbx)}}
        machine.qmp("chardev-add", id="smdr", backend={"type": "socket", "data": {"addr": wire, "wait": False}})
        machine.qmp("device_add", driver="usb-serial", chardev="smdr", id="cable", **{"always-plugged": True})
        configure(machine, {'# port = "/dev/linetap/smdr"': 'port = "/dev/linetap/smdr"'})
        machine.until(lambda: found.recorder.lines and found.reporter.connected, "it works")
        yield found


def test_eight_lines_at_once(closet: Closet, tmp_path: Path) -> None:
    """eight busy lines at once: no overrun, and no sample of any call is lost"""
    machine = closet.machine
    machine.until(lambda: idle(machine), "it works")
    before = state_of(machine, "capture@1", CaptureState).overruns
    start_lines(machine, short_calls(8))
    played(machine, 200)
    found = records(vault(machine, tmp_path / "vault"))
    overruns = state_of(machine, "capture@1", CaptureState).overruns - before
    gaps = [gap for record in found if record.audio is not None for gap in record.audio.gaps]
    NOTES.append(f"{_most_at_once(found)} lines in a call at once (8): {overruns} overruns (0), {len(gaps)} gaps (0)")
    assert (_most_at_once(found), overruns, gaps) == (8, 0, [])


def test_the_codec_is_pulled_and_comes_back(closet: Closet) -> None:
    """codec unplugged and back: told, shown, and recording again by itself"""
    machine = closet.machine
    machine.until(lambda: state_of(machine, "capture@1", CaptureState).fault is None, "capture works")
    machine.run("sh", "-c", "echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/unbind")
    machine.until(lambda: "codec" in checked(machine), "the check says so")
    machine.until(lambda: shows(machine, "codec_stalled"), "the LEDs say so")
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
    """the broker away for a minute, 5,000 events waiting: calls are recorded, each event comes in its order"""
    machine, desk = closet.machine, closet.office.pki.desk("seoul")
    machine.until(lambda: closet.reporter.delivered_seq == closet.recorder.outbox_seq, "nothing waits")
    told = closet.reporter.delivered_seq
    with Client(closet.broker.port, closet.office.pki, desk, clean=False) as seoul:
        assert "Granted" in seoul.subscribe(CALLS)
    closet.broker.stop()  # in good order: a city's broker stores its sessions every 10 s
    away_s = machine.now_s
    machine.until(lambda: not closet.reporter.connected, "it is away")
    machine.run("systemctl", "stop", "linetap-recorder")
    machine.run(
        "systemd-run", "--quiet", "--wait", "--pipe", "-p", "User=linetap-recorder", "-p", "Group=linetap",
        "-p", "LoadCredential=unit.key:/etc/linetap/unit.key", "python3", "/run/hil/waiting.py", str(WAITING),
        limit_s=WRITE_S,
    )  # fmt: skip
    machine.run("systemctl", "start", "linetap-recorder")
    machine.until(lambda: idle(machine), "the recorder works")
    before = len(call_ids(machine))
    start_lines(machine, short_calls(6))
    played(machine, 200)
    assert len(call_ids(machine)) == before + 6
    newest = closet.recorder.outbox_seq
    assert newest >= told + WAITING + 6
    assert closet.reporter.delivered_seq == told
    machine.rest(max(0.0, AWAY_S - (machine.now_s - away_s)))
    closet.broker.start()
    began_s = machine.now_s
    machine.until(lambda: closet.reporter.connected and closet.reporter.delivered_seq >= newest, "all is told", TELL_S)
    told_s = machine.now_s - began_s
    NOTES.append(f"{newest - told} events waited {began_s - away_s:.0f} s; told within {told_s:.0f} s")
    with Client(closet.broker.port, closet.office.pki, desk, clean=False) as seoul, machine.still():
        heard: dict[int, None] = {}

        def has_all() -> bool:
            heard.update(dict.fromkeys(json.loads(one.payload)["seq"] for one in list(seoul.heard)))
            return newest in heard

        until(has_all, TELL_S, "the desk has the newest")
    assert [seq for seq in heard if seq <= newest] == list(range(told + 1, newest + 1))


def test_the_disk_fills_up(closet: Closet) -> None:
    """disk full: a call that could not be kept is not announced either; recording goes on when there is room"""
    machine = closet.machine
    free = int(machine.run("stat", "-f", "-c", "%a", "/var/lib/linetap")) * 4096
    machine.run("fallocate", "-l", str(free - (100 << 20)), "/var/lib/linetap/full")
    machine.until(lambda: closet.recorder.recording_refused == "disk_full", "it says so")
    machine.until(lambda: shows(machine, "disk_full"), "the LEDs say so")
    refused = record_of(machine, one_call(machine))
    assert (refused.disposition, refused.why) == ("discarded", "disk_full")
    machine.run("rm", "/var/lib/linetap/full")
    machine.until(lambda: closet.recorder.recording_refused is None, "there is room")
    assert record_of(machine, one_call(machine)).disposition == "recorded"


def _most_at_once(calls: list[CallRecord]) -> int:
    spans = [(call.answered_at or "", call.ended_at or "") for call in calls]
    return max(sum(began <= moment < ended for began, ended in spans) for moment, _ in spans)


def _smdr_lines(closet: Closet) -> int:
    return closet.recorder.smdr_lines + closet.recorder.smdr_bad
