# SPDX-License-Identifier: Apache-2.0
"""A unit that starts with a fault of its card, its data partition or its clock; and a search for open ports."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from leds import shows
from machine import Kept, Machine, partition
from rig import Office, checked, one_call, record_of, state_of

from linetap_core.records import CaptureState

pytestmark = pytest.mark.hil
TAP = ("linetap-hil0", "10.77.0.1", "10.77.0.2")
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
