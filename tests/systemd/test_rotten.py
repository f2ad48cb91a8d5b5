# SPDX-License-Identifier: Apache-2.0
"""Files damaged by a bad medium or a hasty hand, under systemd: one bit of each small file is flipped, the
configuration is empty or missing, also in mid-call. No service fails repeatedly, and each damage is reported.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from guest import Guest, guest, skip_reason, until
from systemd_rig import (
    COMMAND,
    CONFIG,
    LOG,
    SERVICES,
    lay_cable,
    lost,
    make_unit,
    next_recorded,
    pid_of,
    record_of,
    relays,
    state_of,
)

from linetap import unitkeys
from linetap_core import cli
from linetap_core.durable import privatefile
from linetap_core.enrolment import certificates
from linetap_core.evidence.calls import sealed
from linetap_core.records import CaptureState, PanelState, RecorderState, ReporterState, ServiceState

SEED, MOST_FILES, LEAST_FILES = 17, 8, 5
KINDS: dict[str, type[ServiceState]] = {
    "capture@1": CaptureState,
    "recorder": RecorderState,
    "reporter": ReporterState,
    "panel": PanelState,
}
# Line 1 is called repeatedly.
SCRIPT = "lines = 2\nduration_s = 900.0\n" + "".join(
    f'[[call]]\nline = 1\nstart_s = {1.0 + 16 * n}\ndirection = "in"\nrings = 2\ntalk_s = 8.0\n' for n in range(55)
)
# Each small file with an envelope, and unit.toml, which has a copy; without copies and twins themselves.
FIND = """
import os, sys
for top, _, names in os.walk("/var/lib/linetap"):
    for name in sorted(names):
        path = os.path.join(top, name)
        with open(path, "rb") as file:
            wrapped = file.read(15) == b'{"linetap_file"'
        if (wrapped and not name.endswith((".twin", ".kept", ".copy"))) or name == "unit.toml":
            print(path, os.stat(path).st_size)
"""
# Like a medium: not even the time of the file changes.
FLIP = """
import os, sys
path, bit = sys.argv[1], int(sys.argv[2])
before = os.stat(path)
with open(path, "r+b") as file:
    file.seek(bit // 8)
    byte = file.read(1)[0] ^ 1 << bit % 8
    file.seek(bit // 8)
    file.write(bytes([byte]))
os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
"""

pytestmark = [pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason())), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    with guest() as made:
        make_unit(made, SCRIPT)
        made.boot()
        lay_cable(made)
        start(made)
        yield made


def start(unit: Guest) -> None:
    unit.run("systemctl", "start", "mosquitto.service", "linetap.target", *(f"{name}.service" for name in SERVICES))


def stop(unit: Guest) -> None:
    """Stops like a power cut: the next recorder finds nothing in RAM."""
    unit.run("systemctl", "stop", "linetap.target", *(f"{name}.service" for name in SERVICES))
    unit.run("sh", "-c", "rm -f /run/linetap/calls/*.checkpoint /run/linetap/*/*.json")


def all_run(unit: Guest) -> bool:
    return {unit.property(name, "SubState") for name in SERVICES} == {"running"}


def restarts(unit: Guest) -> dict[str, str]:
    return {name: unit.property(name, "NRestarts") for name in SERVICES}


def said(unit: Guest, code: str, service: str) -> int:
    """The number of times a service has logged it."""
    text = unit.run(*LOG, "-o", "cat", "-u", f"{service}.service", f"LINETAP_CODE={code}", check=False)
    return sum(line.startswith(f"{code}: ") for line in text.splitlines())


def a_whole_call(unit: Guest) -> None:
    """Waits for a whole call that begins from now on, recorded from its gate to its end."""
    record = record_of(unit, next_recorded(unit))
    assert (record.ended_by, lost(record)) == ("on_hook", [])


def test_one_bit_of_each_of_some_small_files(unit: Guest) -> None:
    until(lambda: unit.run("find", "/var/lib/linetap/vault", "-name", sealed.SIGNATURE) != "", "a call is sealed")
    stop(unit)
    chosen = Random(SEED)
    found = [line.rsplit(" ", 1) for line in unit.run("python3", "-c", FIND).splitlines()]
    assert len(found) >= LEAST_FILES, found
    flipped = {path: int(size) for path, size in found if path == CONFIG}
    rest = [(path, int(size)) for path, size in found if path not in flipped]
    flipped |= dict(chosen.sample(rest, min(MOST_FILES, len(rest))))
    for path, size in flipped.items():
        unit.run("python3", "-c", FLIP, path, str(chosen.randrange(8 * size)))
    start(unit)
    assert all_run(unit)
    before = restarts(unit)
    named = {f"{path.split('/')[-2]}/{path.split('/')[-1]}" for path in flipped}
    check = ("linetap", "check", "--config", "/etc/linetap/unit.toml")
    until(lambda: all(name in unit.run(*check, check=False) for name in named), f"each is named: {sorted(named)}")
    a_whole_call(unit)
    assert all_run(unit)
    assert restarts(unit) == before


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_without_a_configuration_each_waits_and_reports_it_once(unit: Guest, how: str) -> None:
    if how == "empty":
        unit.run("sh", "-c", f"cp -p {CONFIG} /tmp/kept.toml; : >{CONFIG}")
    else:
        unit.run("mv", "/etc/linetap", "/etc/linetap.away")
    before = {name: said(unit, "bad_input", name) for name in SERVICES}
    unit.run("systemctl", "restart", *(f"{name}.service" for name in SERVICES))
    counted = restarts(unit)

    def says(name: str) -> str | None:
        fault = state_of(unit, name, KINDS[name]).fault
        return fault.text if fault is not None else None

    for name in KINDS:
        until(lambda of=name: "unit.toml" in (says(of) or ""), f"{name} says what is wrong")
    assert state_of(unit, "panel", PanelState).unit_state == "config_wrong"
    assert relays(unit) == [0, 0]
    unit.run("sleep", "7")  # twice the interval of a service's retries
    assert all_run(unit)
    assert restarts(unit) == counted, "nobody dies of it"
    assert {name: said(unit, "bad_input", name) - before[name] for name in SERVICES} == dict.fromkeys(SERVICES, 1)
    if how == "empty":
        unit.run("cp", "-p", "/tmp/kept.toml", CONFIG)
    else:
        unit.run("mv", "/etc/linetap.away", "/etc/linetap")
    for name in KINDS:
        until(lambda of=name: says(of) is None, f"{name} has begun")
    a_whole_call(unit)


def test_a_configuration_that_vanishes_in_mid_call_ends_nothing(unit: Guest) -> None:
    call_id, before = next_recorded(unit), {name: pid_of(unit, name) for name in SERVICES}
    unit.run("mv", "/etc/linetap", "/etc/linetap.away")
    record = record_of(unit, call_id)
    assert (record.ended_by, lost(record)) == ("on_hook", [])
    a_whole_call(unit)
    assert {name: pid_of(unit, name) for name in SERVICES} == before
    unit.run("mv", "/etc/linetap.away", "/etc/linetap")


def test_a_key_that_is_gone_is_reported_in_one_line_a_start(unit: Guest) -> None:
    """It names the file and retries, but not three times a second. Here the copy is missing too."""
    unit.run("sh", "-c", "rm -f /etc/linetap/unit.key.kept; mv /etc/linetap/unit.key /tmp/unit.key")
    unit.run("systemctl", "restart", "linetap-recorder.service", check=False)
    text = unit.run("journalctl", "--namespace=+linetap", "-o", "cat", "-u", "linetap-recorder.service")
    assert "/etc/linetap/unit.key: cannot be read: No such file or directory" in text
    assert "credentials" not in text.lower()
    counted = int(unit.property("linetap-recorder", "NRestarts"))
    unit.run("sleep", "7")
    assert int(unit.property("linetap-recorder", "NRestarts")) - counted <= 3
    unit.run("mv", "/tmp/unit.key", "/etc/linetap/unit.key")
    until(lambda: unit.property("linetap-recorder", "SubState") == "running", "it has begun")
    assert json.loads(unit.run("tail", "-n", "1", "/run/linetap/recorder/recorder.json"))["fault"] is None


LAST_BLOCK = 2047  # of 8 MiB
# A service that only reads its key.
READS = """[Service]
Type=exec
ExecStartPre=
ExecStart=
ExecStart=/bin/sh -c 'grep -q PRIVATE "$CREDENTIALS_DIRECTORY/{key}" && exec sleep infinity; exit 2'
WatchdogSec=0
"""
READERS = {"unit.key": "linetap-recorder", "tls.key": "linetap-reporter"}


@pytest.fixture(params=READERS)
def unreadable(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Guest, str]]:
    """A guest with /etc/linetap on an ext2 whose disk cannot read the block of a key: its file ends before."""
    key: str = request.param
    disk = tmp_path / "disk.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-b", "4096", str(disk), "8M"], check=True, timeout=60)
    with guest() as made:
        home = made.root / "etc/linetap"
        home.mkdir()
        mount = ["mount", "-o", "loop", str(disk), str(home)]
        subprocess.run(mount, check=True, timeout=60)
        privatefile.write(home / "unit.key", unitkeys.make())
        privatefile.write(home / "tls.key", certificates.key_pem(certificates.new_key()))
        assert cli.main(["provision", "key", "--etc", str(made.root / "etc")]) == 0
        subprocess.run(["umount", str(home)], check=True, timeout=60)
        lost = ["debugfs", "-w", "-R", f"sif {key} block[0] {LAST_BLOCK}", str(disk)]
        subprocess.run(lost, check=True, capture_output=True, timeout=60)
        subprocess.run(mount, check=True, timeout=60)
        os.truncate(disk, LAST_BLOCK * 4096)
        try:
            made.write("/usr/bin/linetap", COMMAND, 0o755)
            made.write(f"/etc/systemd/system/{READERS[key]}.service.d/90-reads.conf", READS.format(key=key))
            made.boot()
            yield made, key
        finally:
            subprocess.run(["umount", "-l", str(home)], check=True, timeout=60)


def test_a_key_that_the_medium_cannot_read_is_put_back_from_its_copy(unreadable: tuple[Guest, str]) -> None:
    """systemd reads it, and starts no service whose credential it cannot read."""
    unit, key = unreadable
    service = READERS[key]
    assert "Input/output error" in unit.run("sh", "-c", f"cat /etc/linetap/{key} 2>&1", check=False)
    unit.run("systemctl", "start", f"{service}.service", check=False)
    until(lambda: unit.property(service, "SubState") == "running", "it has its key", 60)
    assert "PRIVATE KEY" in unit.run("cat", f"/etc/linetap/{key}")
