# SPDX-License-Identifier: Apache-2.0
"""Power that goes in the middle of calls, and kernels that stop: what was being recorded is kept, and reported once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from gdbstub import hang
from machine import Machine
from rig import Office, one_call, record_of, records, short_calls, start_lines, state_of, vault

from linetap_bench.stage.stage import linetap
from linetap_core.clock import SYSTEM
from linetap_core.records import RecorderState

CUTS = 10
OLD_ENOUGH_S = 3  # the journal is on disk every 400 ms, a second at worst
pytestmark = pytest.mark.hil


def test_ten_power_cuts_in_mid_call(machine: Machine, tmp_path: Path) -> None:
    """ten power cuts in mid-call: every call that was being recorded is kept, sealed and in the log"""
    office = Office.new(tmp_path / "office")
    machine.put("linetap.toml", office.card())
    cut: set[str] = set()
    for _ in range(CUTS):
        machine.boot()
        start_lines(machine, short_calls(8, talk_s=60.0, apart_s=1.0))
        machine.until(lambda: len(_recording(machine)) >= 3, "three lines are recording")
        there = _recording(machine)
        SYSTEM.sleep(OLD_ENOUGH_S)
        cut |= there & _recording(machine)
        machine.cut()
    machine.boot()
    machine.until(lambda: state_of(machine, "recorder", RecorderState).lines != [], "the recorder is up")
    machine.run("systemctl", "stop", "linetap-recorder")
    kept = vault(machine, tmp_path / "vault")
    found = {record.call_id: record for record in records(kept)}
    assert len(cut) >= 2 * CUTS
    assert cut <= set(found), f"not kept: {sorted(cut - set(found))}"
    for call in cut:
        assert found[call].ended_by == "power"
        assert found[call].disposition == "recorded"
    signers = tmp_path / "allowed_signers"
    signers.write_bytes(machine.read("/etc/linetap/allowed_signers"))
    linetap("verify", kept, "--signers", signers)  # ends with 1, which is a failure here, where a thing is damaged


def test_a_kernel_that_stops_starts_again(machine: Machine, tmp_path: Path) -> None:
    """a panic: the kernel starts the unit again by itself; and systemd feeds the machine's watchdog"""
    machine.put("linetap.toml", Office.new(tmp_path / "office").card())
    machine.boot()
    with contextlib.suppress(OSError):  # nobody is left to answer
        machine.run("sh", "-c", "echo c >/proc/sysrq-trigger", limit_s=5)
    assert machine.ended(60), f"the panic ends nothing:\n{machine.last_words()}"
    machine.boot()
    assert machine.run("cat", "/sys/class/watchdog/watchdog0/state") == "active"


def test_a_kernel_that_hangs_is_ended(machine: Machine, tmp_path: Path) -> None:
    """a kernel that hangs, with no interrupt taken any more: the watchdog starts the unit again, and calls go on"""
    machine.put("linetap.toml", Office.new(tmp_path / "office").card())
    machine.more = ["-gdb", f"unix:{machine.sockets}/gdb,server=on,wait=off"]
    machine.boot()
    machine.until(lambda: state_of(machine, "recorder", RecorderState).lines, "the recorder works")
    hang(machine.sockets / "gdb")
    with pytest.raises(TimeoutError):
        machine.ask({"run": ["true"]}, 3)
    assert machine.ended(120), f"nothing ends it:\n{machine.last_words()}"
    machine.boot()
    assert record_of(machine, one_call(machine)).disposition == "recorded"


def _recording(machine: Machine) -> set[str]:
    lines = state_of(machine, "recorder", RecorderState).lines
    return {line.call_id for line in lines if line.state == "recording" and line.call_id}
