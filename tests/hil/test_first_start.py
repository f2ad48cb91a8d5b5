# SPDX-License-Identifier: Apache-2.0
"""One unit from its first power-on: the card is accepted, calls are recorded and opened here by stock age."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from hil_table import NOTES
from keptunit import Site
from leds import lit
from machine import PROJECT, Kept, Machine
from rig import SERVICES, played, records, short_calls, start_lines, state_of, vault

from linetap_bench.demo.opening import recipe_of
from linetap_core.records import CallRecord, CaptureState, RecorderState, ReporterState

pytestmark = [pytest.mark.hil, pytest.mark.quick]


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory, site: Site, connected: Kept) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("unit")
    with site.broker(folder / "broker") as broker, site.unit(connected, folder, broker) as machine:
        yield machine


CALLS = 4  # simultaneous, on eight lines; test_closet.py has all eight
SYSCTLS = [PROJECT / name for name in ("image/root/etc/sysctl.d/60-hardening.conf", "systemd/sysctl.d/linetap.conf")]


def test_the_card_is_taken_and_wiped(unit: Machine) -> None:
    """provisioning: the file is taken, wiped from the card, and the unit works"""
    for service in SERVICES:
        unit.until(lambda: unit.run("systemctl", "is-active", service, check=False) == "active", service)  # noqa: B023
    assert "linetap.toml" not in unit.run("ls", "/boot/firmware")
    assert "floor-03" in unit.run("cat", "/boot/firmware/linetap-done.txt")
    unit.until(lambda: state_of(unit, "reporter", ReporterState).connected, "the broker is reached over TLS")
    assert unit.run("systemctl", "--failed", "--no-legend", "--plain") == ""


def test_calls_are_opened_here(unit: Machine, site: Site, tmp_path: Path) -> None:
    """calls on 4 of 8 lines, each opened on this machine by stock age; the LED CALL follows them"""
    before = state_of(unit, "capture@1", CaptureState)
    NOTES.append(f"capture's start: {before.overruns} overruns, {before.underruns} underruns")
    start_lines(unit, short_calls(CALLS, apart_s=0.25, talk_s=5.5))
    unit.until(lambda: lit(unit, "call"), "CALL is lit")
    played(unit, 300)
    unit.until(lambda: not lit(unit, "call"), "CALL is dark again")
    kept = vault(unit, tmp_path / "vault")
    found = records(kept)
    told = [(record.call_id, record.disposition, record.why) for record in found]
    assert len([record for record in found if record.disposition == "recorded"]) == CALLS, told
    with unit.still():
        for record in found:
            opened(record, kept, site.office.folder, tmp_path / "opened.wav")
    assert [record.notice.proof for record in found if record.notice is not None] == CALLS * ["full"]
    assert len(state_of(unit, "recorder", RecorderState).lines) == 8
    capture = state_of(unit, "capture@1", CaptureState)
    assert (capture.overruns, capture.underruns) == (before.overruns, before.underruns)


def opened(record: CallRecord, kept: Path, office: Path, wav: Path) -> None:
    (call_dir,) = kept.glob(f"[0-9]*/*/*/{record.call_id}")
    recipe = recipe_of(call_dir, office / "epoch.txt", office / "custodian.txt", wav)
    script = "set -e\n" + "\n".join(recipe)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert record.audio is not None
    with wave.open(str(wav)) as sound:
        assert sound.getnframes() == record.audio.samples


def test_a_card_in_a_reader_is_seen(unit: Machine) -> None:
    """the kernel looks every two seconds whether a card lies in a reader"""
    assert unit.run("cat", "/sys/module/block/parameters/events_dfl_poll_msecs") == "2000"


def test_nothing_listens(unit: Machine) -> None:
    """no socket of the unit listens to the network, and nobody can log in"""
    unit.run("systemctl", "stop", "site-time.service")  # the tests' own, on an address of the machine's own
    listening = [line for line in unit.run("ss", "-Hltun").splitlines() if "UNCONN" not in line or ":68" not in line]
    assert listening == []
    shadow = unit.run("cat", "/etc/shadow").splitlines()
    assert {line.split(":")[1] for line in shadow} == {"*"}
    assert unit.run("sh", "-c", "command -v gcc cc apt-get pip sshd-keygen nc telnet; true") == ""
    assert unit.run("sh", "-c", "find / -xdev -perm /6000 -type f 2>/dev/null | head") == ""
    assert unit.run("swapon", "--noheadings") == ""
    assert "ro" in unit.run("findmnt", "-no", "OPTIONS", "/").split(",")


def test_kernel_is_closed_as_the_table_has_it(unit: Machine) -> None:
    """every sysctl of docs/hardening.md is in force, the kernel is locked down, and what it never needs is not there"""
    lines = [line for path in SYSCTLS for line in path.read_text().splitlines() if line and not line.startswith("#")]
    wanted = dict(line.removeprefix("-").split(" = ", 1) for line in lines)
    found = {name: unit.read(f"/proc/sys/{name.replace('.', '/')}").decode().strip() for name in wanted}
    assert found == wanted
    assert "[integrity]" in unit.read("/sys/kernel/security/lockdown").decode()
    assert unit.run("systemctl", "show", "-P", "Result", "lockdown-linetap.service") == "success"
    assert unit.run("systemctl", "--failed", "--no-legend", "--plain") == ""
    modules = {Path(path).name.partition(".")[0] for path in unit.run("find", "/usr/lib/modules").splitlines()}
    assert not modules & {"sctp", "tipc", "rds", "nfs", "usbhid", "rndis_host"}
    assert "overlay" in modules, "as it is looked for"


def test_every_module_that_the_kernel_asks_for_is_there(unit: Machine) -> None:
    """the kernel asked for no module that this root lacks: image/kept-modules.txt is complete for a unit with calls"""
    asked = unit.run("sh", "-c", "sort -u /run/hil/unanswered")
    names = {line.split()[-1] for line in asked.splitlines()}
    # nftables asks by family before it asks for the expression; the tests' own `ss` for each kind of socket.
    assert {name for name in names if not name.startswith(("nft-expr-1-", "net-pf-16-proto-4-"))} <= {"bpf_preload"}
    assert "nft-expr-1-ct" in names, "what is asked for in vain is listed"
