# SPDX-License-Identifier: Apache-2.0
"""memory_low: so little memory is left that services may be ended, or everybody waits for some."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.machine import Machine

CHECK_ID = "memory_low"
WARN_PERCENT = 8.0  # of all memory, that could be had
CRITICAL_PERCENT = 3.0
CLEAR_BY_PERCENT = 4.0
STALLED_PERCENT = 10.0  # of a minute in which nobody got on (PSI, "full")


def available_percent(machine: Machine) -> float | None:
    total, available = machine.memory_total_kb, machine.memory_available_kb
    return None if not total or available is None else 100 * available / total


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    left = available_percent(snapshot.machine)
    stalled = (snapshot.machine.stalled_percent or 0.0) >= STALLED_PERCENT
    if left is None or not (stalled or left < WARN_PERCENT + (CLEAR_BY_PERCENT if standing else 0)):
        return None
    return Trouble(
        severity="critical" if left < CRITICAL_PERCENT else "warning",
        text_ko=f"메모리가 부족합니다 (남은 메모리 {left:.0f} %). 녹음은 계속됩니다.",
        text_en=f"Memory is short ({left:.0f} % left). Recording goes on.",
        action_ko="무엇이 쓰는지 systemd-cgtop -m 명령으로 보고, 통화가 없을 때 기기를 다시 시작하십시오.",
        action_en="See who uses it (systemd-cgtop -m), and restart the unit while no line is in use.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears=f"when {WARN_PERCENT + CLEAR_BY_PERCENT:.0f} % are left and nobody waits for memory",
    look=look,
    is_here=lambda snapshot: available_percent(snapshot.machine) is not None,
)
