# SPDX-License-Identifier: Apache-2.0
"""temperature_high: the processor is so hot that the firmware slows it, or is about to."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble

CHECK_ID = "temperature_high"
WARN_C = 80.0  # Raspberry Pi: from here on the clock goes down step by step,
CRITICAL_C = 85.0  # and here to the lowest
CLEAR_BY_C = 5.0


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    celsius = snapshot.machine.temperature_c
    if celsius is None or celsius < WARN_C - (CLEAR_BY_C if standing else 0):
        return None
    was_critical = standing is not None and standing.severity == "critical"
    critical = celsius >= CRITICAL_C - (CLEAR_BY_C if was_critical else 0)
    return Trouble(
        severity="critical" if critical else "warning",
        text_ko=f"기기가 뜨겁습니다 ({celsius:.0f} °C). 녹음은 계속됩니다.",
        text_en=f"The unit is hot ({celsius:.0f} °C). Recording goes on.",
        action_ko="통풍구를 막는 것을 치우고 먼지를 털고 배선함의 온도를 낮추십시오.",
        action_en="Clear its vents, remove dust, and see that the closet is cooler.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears=f"when it is {CLEAR_BY_C:.0f} °C below the limit, which is {WARN_C:.0f} °C",
    look=look,
    is_here=lambda snapshot: snapshot.machine.temperature_c is not None,
)
