# SPDX-License-Identifier: Apache-2.0
"""The checks of the machine, its clock, and audio lost under load: their beginnings and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from linetap.checks import Finding, Snapshot, run
from linetap.checks.bootstate import Eeprom, Loader, Slot, read_eeprom, read_loader
from linetap.checks.machine import Machine, Mount, Wear
from linetap.checks.watch import Seen, Services, Status
from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.records import KernelClockState
from machine_rig import lay
from panel_shown import shown
from state_files import DEATHS, capture, recorder, reporter

GIB = 1 << 30
MEMORY_KB = 1_000_000


def unit(
    mount: Mount | None = None,
    status: Status = "alive",
    of_capture: dict[str, Any] | None = None,
    of_recorder: dict[str, Any] | None = None,
    **of_machine: Any,
) -> Snapshot:
    captures = {1: Seen(capture(**of_capture or {}), status, 60 * NS_PER_S)}
    services = Services(captures, Seen(recorder("idle", **of_recorder or {}), status), Seen(reporter(), "alive"))
    return Snapshot(services, GIB, 2 * GIB, 0, "/vault", 0, Machine(**of_machine), mount)


def stands(snapshot: Snapshot, before: list[Finding] | None = None) -> list[tuple[str, str]]:
    standing = run(snapshot, before or [])
    return [(it.check, it.trouble.severity) for it in standing if it.check not in DEATHS]


def severities(check: str, *snapshots: Snapshot) -> list[str | None]:
    """The severity of the check in each of the successive snapshots."""
    standing: list[Finding] = []
    told: list[str | None] = []
    for snapshot in snapshots:
        standing = run(snapshot, standing)
        told.append(next((it.trouble.severity for it in standing if it.check == check), None))
    return told


def test_a_machine_that_says_nothing_is_well() -> None:
    assert stands(unit()) == []


def test_heat_begins_at_the_limits_and_ends_below_them() -> None:
    hot = [unit(temperature_c=celsius) for celsius in (79.9, 80, 84.9, 85, 80.1, 79.9, 75.1, 74.9)]
    assert severities("temperature_high", *hot) == [
        None, "warning", "warning", "critical", "critical", "warning", "warning", None,
    ]  # fmt: skip


def percent(left: float, stalled: float = 0.0) -> Snapshot:
    return unit(memory_total_kb=MEMORY_KB, memory_available_kb=round(MEMORY_KB * left / 100), stalled_percent=stalled)


def test_memory_begins_at_its_limits_and_ends_above_them() -> None:
    told = severities("memory_low", *(percent(left) for left in (8, 7.9, 3, 2.9, 11.9, 12)))
    assert told == [None, "warning", "warning", "critical", "warning", None]


def test_everybody_waits_for_memory() -> None:
    assert severities("memory_low", percent(50, 9.9), percent(50, 10), percent(50, 9.9)) == [None, "warning", None]


@pytest.mark.parametrize(
    ("figures", "check", "severity"),
    [
        ({"under_voltage": True}, "under_voltage", "critical"),
        ({"throttled": 0x50004}, "throttled", "warning"),
        ({"throttled": 0x8}, "throttled", "warning"),
        ({"disk_errors": {"vda": 0, "mmcblk0p3": 2}}, "disk_errors", "critical"),
        ({"state_read_only": True}, "disk_errors", "critical"),
        ({"disks": {"mmcblk0": Wear(90, 1)}}, "disk_worn", "warning"),
        ({"disks": {"mmcblk0": Wear(110, 1)}}, "disk_worn", "critical"),
        ({"disks": {"mmcblk0": Wear(10, 2)}}, "disk_worn", "warning"),
        ({"disks": {"mmcblk0": Wear(10, 1), "mmcblk1": Wear(0, 3)}}, "disk_worn", "critical"),
        ({"temperature_c": 80.0}, "temperature_high", "warning"),
        ({"slots": (Slot("a", True, 0, 2, 0), Slot("b", False, 0, 0, 0))}, "slot_failed", "critical"),
        ({"slots": (Slot("a", False, 3, 0, 0), Slot("b", True, 0, 0, 0))}, "slot_failed", "critical"),
        ({"slots": (Slot("a", True, 0, 0, 7), Slot("b", False, 0, 0, 0))}, "slot_failed", "warning"),
    ],
)
def test_what_the_machine_says_is_reported_and_on_the_leds(figures: dict[str, Any], check: str, severity: str) -> None:
    snapshot = unit(**figures)
    assert stands(snapshot) == [(check, severity)]
    assert shown(snapshot.services, machine=snapshot.machine).condition == "unit_check"
    assert shown(snapshot.services).condition == "ok"
    assert stands(unit(), run(snapshot)) == []


@pytest.mark.parametrize(
    "figures",
    [
        {"under_voltage": False}, {"throttled": 0x50001}, {"throttled": 0}, {"disk_errors": {"vda": 0}},
        {"disks": {"mmcblk0": Wear(80, 1)}}, {"temperature_c": 79.9},
        {"slots": (Slot("a", True, 2, 0, 0), Slot("b", False, 2, 0, 0))},
    ],
)  # fmt: skip
def test_what_is_no_fault(figures: dict[str, Any]) -> None:
    snapshot = unit(**figures)
    assert stands(snapshot) == []
    assert shown(snapshot.services, machine=snapshot.machine).condition == "ok"


def test_a_vault_that_takes_nothing() -> None:
    assert stands(unit(mount=Mount(read_only=True))) == [("vault_read_only", "critical")]
    assert stands(unit(mount=Mount(lost=True))) == [("data_lost", "critical")]
    assert stands(unit(mount=Mount())) == stands(unit(mount=None)) == []


class TestOverruns:
    def test_one_is_none_and_many_are_worse(self) -> None:
        some = [unit(of_capture={"overruns_lately": n}) for n in (2, 3, 29, 30, 2)]
        assert severities("overruns", *some) == [None, "warning", "warning", "critical", None]
        assert [shown(each.services).condition for each in some] == ["ok", *["unit_check"] * 3, "ok"]

    def test_a_capture_that_is_away_says_nothing_new_and_cures_nothing(self) -> None:
        many = unit(of_capture={"overruns_lately": 3})
        assert stands(unit(status="dead", of_capture={"overruns_lately": 3})) == []
        assert stands(unit(status="dead"), run(many)) == [("overruns", "warning")]


def after_s(seconds: float, status: Status = "alive", **fields: Any) -> Snapshot:
    """A unit's snapshot, `seconds` after the recorder's start."""
    about = {"started_ns": 0, "mono_ns": round(seconds * NS_PER_S), **fields}
    return unit(status=status, of_recorder=about)


def test_what_went_from_the_ring_unread_is_reported_for_an_hour() -> None:
    told = [after_s(s, overtaken_ns=100 * NS_PER_S) for s in (100, 3699, 3700)]
    assert severities("ring_overtaken", *told) == ["critical", "critical", None]
    assert stands(after_s(100, overtaken_ns=None)) == []


class TestClock:
    UNKEPT = KernelClockState(synced=False, offset_ms=0.0)
    KEPT = KernelClockState(synced=True, offset_ms=0.1)

    def test_one_that_nobody_keeps_is_reported_after_a_while(self) -> None:
        told = severities("clock_unsynced", *(after_s(s, clock=self.UNKEPT) for s in (0, 899, 900)))
        assert told == [None, None, "warning"]

    def test_it_counts_from_when_it_was_last_kept(self) -> None:
        lost = KernelClockState(synced=False, offset_ms=0.0, synced_ns=5000 * NS_PER_S)
        assert severities("clock_unsynced", *(after_s(s, clock=lost) for s in (5899, 5900))) == [None, "warning"]

    def test_a_recorder_that_starts_anew_does_not_clear_it(self) -> None:
        told = [after_s(900, clock=self.UNKEPT), after_s(1, clock=self.UNKEPT), after_s(1, "dead", clock=self.KEPT)]
        assert severities("clock_unsynced", *told, after_s(2, clock=self.KEPT)) == ["warning"] * 3 + [None]

    @pytest.mark.parametrize(("step_ms", "says"), [(-3000, "3.0 s back"), (700, "0.7 s forward")])
    def test_a_jump_is_reported_for_an_hour(self, step_ms: int, says: str) -> None:
        jumped = KernelClockState(synced=True, offset_ms=0.0, step_ms=step_ms, stepped_ns=10 * NS_PER_S)
        assert severities("clock_stepped", *(after_s(s, clock=jumped) for s in (10, 3609, 3610))) == [
            "warning", "warning", None,
        ]  # fmt: skip
        (found,) = run(after_s(10, clock=jumped))
        assert says in found.trouble.text_en

    def test_a_recorder_that_says_nothing_of_it_is_none_of_these(self) -> None:
        assert stands(after_s(5000)) == []


@pytest.mark.parametrize(
    ("chip", "signed", "built", "is_old"),
    [
        ("bcm2711", False, "2021-03-17", True),
        ("bcm2711", False, "2021-03-18", False),
        ("bcm2711", True, "2025-02-10", True),
        ("bcm2711", True, "2025-02-11", False),
        ("bcm2712", False, "2025-10-07", True),
        ("bcm2712", False, "2025-10-08", False),
        ("bcm2712", True, "2025-10-07", True),
        ("bcm2712", True, "2025-10-08", False),
    ],
)
def test_a_boot_loader_is_old_by_its_day(chip: str, signed: bool, built: str, is_old: bool) -> None:
    """The limits are days of Raspberry Pi's release notes, compared with the build time of the boot loader."""
    built_s = parse_rfc3339(f"{built}T00:00:00.000Z") // NS_PER_S
    found = stands(unit(loader=Loader(chip, built_s, signed)))
    assert found == ([("firmware_old", "warning")] if is_old else [])


@pytest.mark.parametrize("code", ["", "eeprom_card"])
@pytest.mark.parametrize(("model", "cmdline", "document"), [
    ("4-model-b", "linetap.verity=1:2:3 linetap.slot=a", ""), ("400", "linetap.verity=1:2:3 linetap.slot=a", ""),
    ("4-compute-module", "linetap.verity=1:2:3 linetap.slot=a", "docs/raspberry-pi.md"),
    ("4s-compute-module", "linetap.verity=1:2:3 linetap.slot=a", "docs/raspberry-pi.md"),
    ("4-model-b", "linetap.verity=1:2:3", "docs/verified-boot.md"),
    ("4-compute-module", "linetap.verity=1:2:3", "docs/verified-boot.md"),
])  # fmt: skip
def test_a_cure_names_only_what_writes_that_boards_boot_loader(
    tmp_path: Path, model: str, cmdline: str, document: str, code: str
) -> None:
    """A module's ROM runs no recovery.bin from a card (Raspberry Pi, cm-bootloader.adoc), and a board that is locked to
    a key none without it (raspberrypi/usbboot, secure-boot.md): the card of Imager was named for both.
    """
    lay(tmp_path, {
        "proc/device-tree/compatible": f"raspberrypi,{model}\0brcm,bcm2711\0",
        "proc/device-tree/chosen/bootloader/build-timestamp": "\x5f\x5e\x10\0", "proc/cmdline": cmdline,
        "run/linetap-eeprom": f"failed before=1 wanted=2 {code}\n" if code else "",
    })  # fmt: skip
    found = {each.check: each.trouble for each in run(unit(loader=read_loader(tmp_path), eeprom=read_eeprom(tmp_path)))}
    assert set(found) == {"firmware_old", *(["eeprom_failed"] if code else [])}
    for trouble in found.values():
        assert ("Imager" in trouble.action_en, "Imager" in trouble.action_ko) == (not document, not document)
        assert document in trouble.action_en
        assert document in trouble.action_ko


@pytest.mark.parametrize("step", ["waiting", "trying", "done", "failed"])
def test_only_a_failed_boot_loader_is_reported(step: str) -> None:
    code = "eeprom_config" if step == "failed" else ""
    found = unit(loader=Loader("bcm2711", 1_739_293_213), eeprom=Eeprom(step, 1_739_293_213, 1_779_045_198, code))
    assert stands(found) == ([("eeprom_failed", "warning")] if step == "failed" else [])


def test_its_dates_and_the_reason_are_in_the_text() -> None:
    loader, eeprom = Loader("bcm2711", 1_739_293_213), Eeprom("failed", 1_739_293_213, 1_779_045_198, "eeprom_other")
    (found,) = run(unit(loader=loader, eeprom=eeprom))
    assert "2026-05-17" in found.trouble.text_en
    assert "2025-02-11" in found.trouble.text_ko
    assert "eeprom_other" in found.trouble.text_en, "a code of a later version too"
