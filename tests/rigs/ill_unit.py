# SPDX-License-Identifier: Apache-2.0
"""A unit on which every check has a finding: for tests of all texts, and for tools/legend.py."""

from __future__ import annotations

from linetap.checks import CHECKS, Finding, Snapshot, run
from linetap.checks.bootstate import Eeprom, Loader, Slot
from linetap.checks.machine import Machine, Mount, Wear
from linetap.checks.watch import Seen, Services
from linetap_core.clock import NS_PER_S
from linetap_core.records import (
    CaptureState,
    Fault,
    KernelClockState,
    KeyListState,
    MeterState,
    OrderState,
    OutboxState,
    RecorderState,
    RefusedState,
    ReporterState,
    RetentionTimeState,
    UpdateState,
    WeakeningState,
)
from state_files import capture, panel, recorder, reporter


def all_findings() -> list[Finding]:
    """Every check's findings, in their order: some from a unit where all services are dead, which excludes other
    findings.
    """
    found = {finding.check: finding for finding in (*run(_dead_unit()), *run(ill_unit()))}
    missing = [check.id for check in CHECKS if check.id not in found]
    assert not missing, f"raised by no unit of tests/rigs/ill_unit.py: {missing}"
    return [found[check.id] for check in CHECKS]


def _dead_unit() -> Snapshot:
    services = Services(
        {1: Seen[CaptureState](None, "dead")}, Seen[RecorderState](None, "dead"), Seen[ReporterState](None, "dead")
    )
    return Snapshot(services, 1 << 40, 1 << 40, 0, "/var/lib/linetap/vault", 0)


def ill_unit() -> Snapshot:
    """A unit whose recorder has run for a quarter of an hour."""
    worst = MeterState(connected=False, tamper=True)
    captures = {
        1: Seen(capture(meter=worst, overruns_lately=30, contact_open=[1], contact_stuck=[2]), "alive", 60 * NS_PER_S)
    }
    captures[2] = Seen[CaptureState](None, "dead")
    captures[7] = Seen(capture(7, meter=MeterState(connected=True, power_fail=True, unset=[1])), "alive", 60 * NS_PER_S)
    captures[6] = Seen[CaptureState](None, "dead", unwritten="full")
    for card, code in enumerate(("codec_absent", "codec_mismatch", "codec_stalled"), 3):
        captures[card] = Seen(capture(card, fault=Fault(code, "")), "dead")
    state = recorder(
        "idle", "idle", version="1", started_ns=0, mono_ns=900 * NS_PER_S, overtaken_ns=0,
        clock=KernelClockState(synced=False, offset_ms=0.0, step_ms=-3000, stepped_ns=0),
        retention_time=RetentionTimeState(ahead_s=86_400 * 400), key_list=KeyListState(),
        refused_commands=RefusedState(1, "command_signer"), departures=["record_and_flag"],
        weakenings=[WeakeningState(id="5f0c9e1a77b3d204", at="1970-01-01T00:00:00.000Z", by="file",
                                   codes=["line_exempt"], in_effect=True, waits_s=0)],
        recording_refused="disk_error", key_fault="tpm_silent", unsigned=4,
        outbox_dropped_to=7, undated=2, smdr_unmatched=3, full_in_days=41, retention_days=60,
        update=UpdateState(
            step="failed", version="0.2.0", sha256="", by="command", at="1970-01-01T00:00:00.000Z",
            code="update_self_test",
        ),
    )  # fmt: skip
    state.order = OrderState("2026-11-24T03:00:00.000Z", "order_signer", "5f" * 32)
    state.broken_files = ["vault/commands.json"]
    state.logs_kept = ["log.before-1"]
    state.lines[0].troubles = [check.id for check in CHECKS]
    told = reporter(False, certificate_until="1970-01-01T00:00:00.000Z", outbox=OutboxState(oldest_s=1e6))
    machine = Machine(
        temperature_c=90.0, under_voltage=True, throttled=0xF, memory_total_kb=1000, memory_available_kb=10,
        disk_errors={"mmcblk0p2": 3}, disks={"mmcblk0": Wear(110, 3)}, foreign_files=3,
        slots=(Slot("a", runs=True, falls=0, bad=2, mended=0),), loader=Loader("bcm2711", 1_600_000_000),
        eeprom=Eeprom("failed", 1_600_000_000, 1_779_045_198, "eeprom_not_taken"),
    )  # fmt: skip
    services = Services(
        captures,
        Seen(state, "alive", still_ns=60 * NS_PER_S),
        Seen(told, "alive", still_ns=60 * NS_PER_S),
        Seen(panel(), "dead"),
    )
    return Snapshot(
        services, 0, 0, 100 << 20, "/var/lib/linetap/vault", 0, machine, mount=Mount(True, True), card_wrong=True
    )
