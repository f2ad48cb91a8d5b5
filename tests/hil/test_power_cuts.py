# SPDX-License-Identifier: Apache-2.0
"""Power cuts in the middle of calls, and kernels that stop: the audio recorded so far is kept, and reported once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from gdbstub import hang
from hil_table import once
from keptunit import DEVICES, Site
from machine import Kept, Machine
from rig import one_call, record_of, records, seals, short_calls, start_lines, state_of, vault

from linetap_bench.stage.stage import linetap
from linetap_core.records import RecorderState

CUTS = 10
OLD_ENOUGH_S = 3  # the journal is on disk every 400 ms, after a second at worst
LATER_S = 0.37  # shift between cuts, to vary their place within a tick and a chunk
# The first start after a cut is complete; the others have only what finds the calls.
WITHOUT_OTHERS = " ".join(f"systemd.mask=linetap-{name}.service" for name in ("panel", "reporter"))
pytestmark = pytest.mark.hil


@pytest.fixture(scope="session")
def in_calls(site: Site, kept: Kept, shared: Path) -> tuple[Kept, set[str]]:
    """The kept machine a minute later, with eight calls; and the calls that have been recorded for a while."""

    def make(folder: Path) -> tuple[Kept, set[str]]:
        with site.broker(folder / "broker") as broker, site.unit(kept, folder, broker) as machine:
            start_lines(machine, short_calls(8, talk_s=60.0))
            machine.until(lambda: len(_recording(machine)) >= 3, "three lines are recording")
            there = _recording(machine)
            machine.rest(OLD_ENOUGH_S)
            return machine.keep(folder / "kept"), there & _recording(machine)

    return once(shared / "calls", make)


@pytest.mark.parametrize("cut", range(CUTS))
def test_ten_power_cuts_in_mid_call(in_calls: tuple[Kept, set[str]], cut: int, tmp_path: Path) -> None:
    """ten power cuts in mid-call: every call that was being recorded is kept, sealed and in the log"""
    middle, there = in_calls
    with Machine(tmp_path, kept=middle, counted=True) as machine:
        machine.more = [*DEVICES]
        machine.resume()
        machine.rest(cut * LATER_S)
        machine.cut()
        machine.words = WITHOUT_OTHERS if cut else ""
        machine.boot()
        machine.until(lambda: state_of(machine, "recorder", RecorderState).lines != [], "the recorder is up")
        seals(machine)
        machine.run("systemctl", "stop", "linetap-recorder")
        assert machine.run("systemctl", "show", "-P", "Result", "linetap-recorder") == "success", "it was killed"
        kept = vault(machine, tmp_path / "vault")
        found = {record.call_id: record for record in records(kept)}
        assert len(there) >= 3
        assert there <= set(found), f"not kept: {sorted(there - set(found))}"
        for call in there:
            assert found[call].ended_by == "power"
            assert found[call].disposition == "recorded"
        signers = tmp_path / "allowed_signers"
        signers.write_bytes(machine.read("/etc/linetap/allowed_signers"))
        linetap("verify", kept, "--signers", signers)  # it ends with 1 if anything is damaged, which raises here


def test_a_kernel_that_stops_or_hangs_starts_again(kept: Kept, tmp_path: Path) -> None:
    """a panic, and a kernel that takes no interrupt any more: the unit starts again by itself, and calls go on"""
    with Machine(tmp_path, counted=True, kept=kept) as machine:
        machine.more = [*DEVICES]
        machine.resume()
        with contextlib.suppress(OSError):  # the machine no longer answers
            machine.run("sh", "-c", "echo c >/proc/sysrq-trigger", limit_s=5)
        assert machine.ended(60), f"the panic ends nothing:\n{machine.log_tail()}"
        machine.counted = False
        machine.more = ["-gdb", f"unix:{machine.sockets}/gdb,server=on,wait=off"]
        machine.boot()
        assert machine.run("cat", "/sys/class/watchdog/watchdog0/state") == "active", "systemd feeds it"
        machine.until(lambda: state_of(machine, "recorder", RecorderState).lines, "the recorder works")
        hang(machine.sockets / "gdb")
        with pytest.raises(OSError, match=r"timed out|hung up"):  # the watchdog may be quicker
            machine.ask({"run": ["true"]}, 3)
        assert machine.ended(120), f"nothing ends it:\n{machine.log_tail()}"
        machine.counted = True
        machine.more = []
        machine.boot()
        assert record_of(machine, one_call(machine)).disposition == "recorded"


def _recording(machine: Machine) -> set[str]:
    lines = state_of(machine, "recorder", RecorderState).lines
    return {line.call_id for line in lines if line.state == "recording" and line.call_id}
