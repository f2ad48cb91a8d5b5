# SPDX-License-Identifier: Apache-2.0
"""A unit that starts with a fault of its card, its data partition or its clock; and a search for open ports."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from leds import shows
from machine import Kept, Machine, partition
from rig import HOST, Office, checked, one_call, record_of, state_of

from linetap_core.clock import NS_PER_DAY, NS_PER_S, SYSTEM, parse_rfc3339, rfc3339
from linetap_core.records import CaptureState

pytestmark = pytest.mark.hil
TAP = ("linetap-hil0", "10.77.0.1", "10.77.0.2")
TIME_SERVER = """\
local stratum 3
allow 127.0.0.1
bindaddress 127.0.0.1
cmdport 0
bindcmdaddress /
pidfile {folder}/time.pid
user root
"""
YEAR_NS = 365 * NS_PER_DAY
NEAR_S = 3600  # far less than a year, and far more than a start
WRONG = {"not TOML": b"[files\n", "empty": b"", "binary": bytes(range(256)) * 40, "huge": b"#" * (8 << 20)}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office.new(tmp_path / "office")


def test_a_wrong_card(machine: Machine, office: Office) -> None:
    """a wrong card: explained beside it, shown on the LEDs, and the unit works once it is put right"""
    machine.put("linetap.toml", WRONG["not TOML"])
    machine.boot()
    for name, data in WRONG.items():
        machine.write("/boot/firmware/linetap.toml", data)
        machine.run("systemctl", "restart", "provision-linetap.service", check=False)
        assert "linetap.toml" in machine.run("cat", "/boot/firmware/linetap-error.txt"), name
        assert not machine.run("sh", "-c", "cat /etc/linetap/unit.toml 2>/dev/null; true"), name
    machine.until(lambda: shows(machine, "config_wrong"), "the LEDs say so")
    machine.write("/boot/firmware/linetap.toml", office.card(lines=1))
    machine.off()
    machine.boot()
    assert "linetap-error.txt" not in machine.run("ls", "/boot/firmware")
    machine.until(lambda: state_of(machine, "capture@1", CaptureState).fault is None, "capture works")


def test_a_data_partition_that_is_broken(kept: Kept, tmp_path: Path) -> None:
    """a corrupt data partition is kept as it is; the unit records into RAM, and says so"""
    with Machine(tmp_path, counted=True, kept=kept) as machine:
        start, size = partition(machine.card, "linetap-data")
        with machine.card.open("r+b") as card:
            card.seek(start)
            card.write(b"\xa5" * (4 << 20))  # superblock, group descriptors, journal
        before = _hash(machine.card, start, size)
        machine.boot()
        assert "linetap-lost" in machine.run("findmnt", "-no", "SOURCE", "/var/lib/linetap")
        machine.until(lambda: "data_lost" in checked(machine), "the check says so")
        assert record_of(machine, one_call(machine)).disposition == "recorded"
        machine.off()
        assert _hash(machine.card, start, size) == before


def test_a_clock_that_is_a_year_off(machine: Machine, office: Office) -> None:
    """a clock a year off at boot: calls are recorded, marked as not synchronised"""
    machine.put("linetap.toml", office.card(lines=1))
    machine.more, machine.counted = ["-rtc", "base=2027-12-01T00:00:00"], True
    machine.boot()
    record = record_of(machine, one_call(machine))
    assert record.call_id.startswith("202711") or record.call_id.startswith("202712")
    assert record.disposition == "recorded"
    assert record.clock is not None
    assert not record.clock.synced


def test_a_time_server_sets_a_clock_that_is_a_year_off(machine: Machine, office: Office, tmp_path: Path) -> None:
    """the image's chronyd sets a clock that is a year off, by a server of the site, before calls are recorded by it"""
    settings = tmp_path / "time.conf"
    settings.write_text(TIME_SERVER.format(folder=tmp_path))
    command = ["chronyd", "-d", "-x", "-U", "-f", str(settings)]  # -x: it never touches this machine's clock
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            machine.put("linetap.toml", office.card("--ntp", HOST, lines=1))
            machine.more = ["-rtc", f"base={rfc3339(SYSTEM.utc_ns() + YEAR_NS)[:19]}"]
            machine.boot()
            machine.until(lambda: _off_s(machine) < NEAR_S, "the clock is set")
            machine.until(lambda: HOST in machine.run("chronyc", "-n", "tracking"), "the server is believed")
            record = record_of(machine, one_call(machine))
            assert server.poll() is None, "the server still runs"
        finally:
            server.terminate()
    assert record.clock is not None
    assert record.clock.synced
    assert record.ended_at is not None
    assert abs(parse_rfc3339(record.ended_at) - SYSTEM.utc_ns()) < NEAR_S * NS_PER_S


def _off_s(machine: Machine) -> float:
    return abs(int(machine.run("date", "+%s")) - SYSTEM.utc_ns() / NS_PER_S)


def test_nmap_finds_nothing(machine: Machine, office: Office) -> None:
    """nmap from the network: no open port, TCP or UDP"""
    name, here, there = TAP
    for each in (f"tuntap add {name} mode tap", f"addr add {here}/24 dev {name}", f"link set {name} up"):
        subprocess.run(["ip", *each.split()], check=True, timeout=10)
    try:
        machine.put("linetap.toml", office.card("--address", f"{there}/24", "--gateway", here))
        machine.net = f"tap,id=net,ifname={name},script=no,downscript=no"
        machine.boot()
        machine.until(lambda: there in machine.run("ip", "-br", "addr"), "it has its address")
        limits = ["--max-retries", "1", "--host-timeout", "150s", there]
        for words in (["-p-", "--min-rate", "4000"], ["-sU", "--top-ports", "50"]):
            command = ["nmap", "-n", "-Pn", *words, *limits]
            said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout
            print(said)
            assert "scanned" in said
            assert " open " not in said
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False, timeout=10)


def _hash(card: Path, start: int, size: int) -> str:
    with card.open("rb") as file:
        file.seek(start)
        digest = hashlib.sha256()
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()
