# SPDX-License-Identifier: Apache-2.0
"""Stuck contacts, in real time with all services: when each alert is raised, and its LED."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import World

from linetap.board.wires import Wires, wires_path
from linetap_core.clock import NS_PER_MS, SYSTEM
from linetap_core.records import CallRecord, PanelState
from linetap_core.service import read_state
from linetap_core.wire.legend import CONDITIONS
from unit_rig import save_notice, spoken

SCRIPT = Path(__file__).parents[1] / "scenarios" / "stuck.toml"


@pytest.mark.timeout(400)
def test_a_contact_that_is_stuck_is_alarmed_on_its_line(tmp_path: Path) -> None:
    save_notice(tmp_path / "notices" / "end-abuse.wav", spoken(1.5)[::-1])
    with World(tmp_path, SCRIPT, contacts=True) as world:
        wires = Wires.attach(wires_path(world.run_dir, 1))
        world.start_meter()
        for service in ("panel", "capture", "recorder", "reporter"):
            world.start(service)
        world.until(lambda: bool(wires.commanded_open(_now_ms())[0]), "the welded contact is asked to open")
        asked_ms = _now_ms()
        world.until(lambda: _stands(world, "contact_stuck", 1, "warning"), "a contact that did not open")
        stuck_ms, led = _now_ms(), _fault_led(world)
        world.until(lambda: _stands(world, "contact_open", 2, "critical"), "a contact that did not close again")
        worse = _fault_led(world)
        world.until(lambda: len(world.records()) == 3, "all calls are sealed")
        welded, opened, missed = sorted(world.records(), key=lambda record: (record.call_id[:20], record.line))
        world.until(lambda: world.exchange.process.poll() == 0, "the exchange has ended")
        played, _ = world.played()
        wires.close()
    print(f"contact_stuck {stuck_ms - asked_ms} ms after the contact was asked to open")
    assert (led, worse) == (CONDITIONS["line_check"].fault, CONDITIONS["line_fault"].fault)
    assert _end_of(welded) == ("staff_after_notice", "none", False)
    assert _end_of(opened) == ("released", "idle_voltage", True)
    assert (missed.line, missed.disposition) == (2, "missed")
    assert (played.releases, played.left_open) == ([], [2]), "by the exchange: one never opened, one never closed"


def _end_of(record: CallRecord) -> tuple[str | None, str, bool]:
    assert record.end
    return record.ended_by, record.end.seen_by, record.end.released_at is not None


def _stands(world: World, check: str, line: int, severity: str) -> bool:
    panel = read_state(world.run_dir, "panel", PanelState)
    alert = panel.alerts.get(check) if panel else None
    return alert is not None and (alert.line, alert.severity) == (line, severity)


def _fault_led(world: World) -> str:
    panel = read_state(world.run_dir, "panel", PanelState)
    assert panel is not None
    return panel.patterns["fault"]


def _now_ms() -> int:
    return SYSTEM.monotonic_ns() // NS_PER_MS
