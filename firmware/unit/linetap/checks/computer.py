# SPDX-License-Identifier: Apache-2.0
"""Checks of the computer: supply, heat, speed and memory."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble, Words
from linetap.checks.machine import DIP_S, Machine


def _is_low(machine: Machine) -> bool:
    return machine.under_voltage is True


def under_voltage(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """The supply voltage was too low for the Pi. Calls are recorded until the Pi fails, which may be soon."""
    if not _is_low(snapshot.machine):
        return None
    return Words(
        text_ko="전원 전압이 낮습니다. 기기가 꺼질 수 있습니다.",
        text_en="The supply voltage is too low. The unit may switch off.",
        action_ko="전원 어댑터와 케이블을 다시 꽂고, 계속되면 정품 어댑터로 바꾸십시오. USB 기기를 늘리지 마십시오.",
        action_en=("Plug supply and cable in again; if it continues, use the original supply. Add no USB devices."),
    )


HOT_C = 80.0  # Raspberry Pi: from this temperature on the clock is lowered in steps,
TOO_HOT_C = 85.0  # from this one on to the lowest
HOT_CLEAR_BY_C = 5.0


def temperature_high(snapshot: Snapshot, standing: Trouble | None) -> Words | None:
    """The processor is so hot that the firmware slows it down, or soon will."""
    celsius = snapshot.machine.temperature_c
    if celsius is None or celsius < HOT_C - (HOT_CLEAR_BY_C if standing else 0):
        return None
    was_critical = standing is not None and standing.severity == "critical"
    critical = celsius >= TOO_HOT_C - (HOT_CLEAR_BY_C if was_critical else 0)
    return Words(
        mere_warning=not critical,
        text_ko=f"기기의 온도가 높습니다 ({celsius:.0f} °C). 녹음은 계속됩니다.",
        text_en=f"The unit is hot ({celsius:.0f} °C). Recording goes on.",
        action_ko="통풍구를 막는 물건과 먼지를 치우고 배선함의 온도를 낮추십시오.",
        action_en="Clear its vents, remove dust, and cool the closet.",
    )


def _is_slowed(machine: Machine) -> bool:
    return machine.is_slowed is True


def throttled(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """The firmware slows the processor down, because of heat or a weak supply."""
    if not _is_slowed(snapshot.machine):
        return None
    return Words(
        text_ko=f"프로세서가 느려졌습니다 (0x{snapshot.machine.throttled:x}). 녹음은 계속됩니다.",
        text_en=f"The processor is slowed down (0x{snapshot.machine.throttled:x}). Recording goes on.",
        action_ko="통풍구와 전원 어댑터를 확인하십시오. 온도가 높거나 전압이 낮으면 느려집니다.",
        action_en="Check the vents and the supply: heat or low voltage slows it down.",
    )


MEMORY_WARN_PERCENT = 8.0  # available, of all memory
MEMORY_CRITICAL_PERCENT = 3.0
MEMORY_CLEAR_BY_PERCENT = 4.0
STALLED_PERCENT = 10.0  # share of a minute in which all tasks were stalled (PSI, "full")


def _available_percent(machine: Machine) -> float | None:
    total, available = machine.memory_total_kb, machine.memory_available_kb
    return None if not total or available is None else 100 * available / total


def memory_low(snapshot: Snapshot, standing: Trouble | None) -> Words | None:
    """Memory is so short that services may be killed, or all tasks wait for memory."""
    left = _available_percent(snapshot.machine)
    stalled = (snapshot.machine.stalled_percent or 0.0) >= STALLED_PERCENT
    if left is None or not (stalled or left < MEMORY_WARN_PERCENT + (MEMORY_CLEAR_BY_PERCENT if standing else 0)):
        return None
    return Words(
        mere_warning=left >= MEMORY_CRITICAL_PERCENT,
        text_ko=f"메모리가 부족합니다 (남은 메모리 {left:.0f} %). 녹음은 계속됩니다.",
        text_en=f"Memory is short ({left:.0f} % left). Recording goes on.",
        action_ko="systemd-cgtop -m 명령으로 사용량을 확인하고, 통화가 없을 때 기기를 다시 시작하십시오.",
        action_en="See what uses it (systemd-cgtop -m), and restart the unit while no line is in use.",
    )


CHECKS = (
    Check(
        "under_voltage",
        clears=f"when the supply has been good for {DIP_S // 60} min",
        find=under_voltage,
        is_here=lambda snapshot: snapshot.machine.under_voltage is not None,
    ),
    Check(
        "temperature_high",
        clears=f"when it is {HOT_CLEAR_BY_C:.0f} °C below the limit, which is {HOT_C:.0f} °C",
        find=temperature_high,
        is_here=lambda snapshot: snapshot.machine.temperature_c is not None,
    ),
    Check(
        "throttled",
        clears="when it runs at full speed again",
        find=throttled,
        is_here=lambda snapshot: snapshot.machine.is_slowed is not None,
    ),
    Check(
        "memory_low",
        clears=f"when {MEMORY_WARN_PERCENT + MEMORY_CLEAR_BY_PERCENT:.0f} % are left and no task waits for memory",
        find=memory_low,
        is_here=lambda snapshot: _available_percent(snapshot.machine) is not None,
    ),
)
