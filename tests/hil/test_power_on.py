# SPDX-License-Identifier: Apache-2.0
"""The time of a commissioned unit from power on to recording: counted, 10⁹ instructions a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from hil_table import NOTES
from machine import Kept, Machine
from rig import SERVICES

pytestmark = pytest.mark.hil
RECORDING = SERVICES[:2]  # services that must be ready for a recording
SELDOM_S = 5.0  # a request takes processor time from the start; systemd's own times are read afterwards


def test_power_on_to_ready(kept: Kept, tmp_path: Path) -> None:
    """a unit that knows who it is starts by itself, after its power was cut"""
    with Machine(tmp_path, counted=True, kept=kept) as machine:
        machine.start()
        machine.wait()
        machine.until(lambda: _all_active(machine), "all four", every_s=SELDOM_S)
        ready = {name: _seconds(machine, name, "ActiveEnterTimestampMonotonic") for name in SERVICES}
        began = min(_seconds(machine, name, "InactiveExitTimestampMonotonic") for name in SERVICES)
    records = max(ready[name] for name in RECORDING)
    NOTES.append(f"power on to recording {records:.1f} s counted, of which our services {records - began:.1f} s")
    NOTES.append(f"LEDs after {ready['linetap-panel']:.1f} s, reports after {ready['linetap-reporter']:.1f} s")


def _all_active(machine: Machine) -> bool:
    return machine.run("systemctl", "is-active", *SERVICES, check=False).split() == 4 * ["active"]


def _seconds(machine: Machine, name: str, what: str) -> float:
    """The machine's own seconds since its kernel began."""
    return int(machine.run("systemctl", "show", "-P", what, f"{name}.service")) / 1e6
