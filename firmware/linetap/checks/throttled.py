# SPDX-License-Identifier: Apache-2.0
"""throttled: the firmware runs the processor slower than it could, for heat or for a weak supply."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.machine import Machine

CHECK_ID = "throttled"


def is_slowed(machine: Machine) -> bool:
    return machine.is_slowed is True


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    if not is_slowed(snapshot.machine):
        return None
    return Trouble(
        severity="warning",
        text_ko=f"프로세서가 느려졌습니다 (0x{snapshot.machine.throttled:x}). 녹음은 계속됩니다.",
        text_en=f"The processor runs slower (0x{snapshot.machine.throttled:x}). Recording goes on.",
        action_ko="통풍구와 전원 어댑터를 확인하십시오. 뜨겁거나 전압이 낮으면 느려집니다.",
        action_en="Check the vents and the supply: it is slowed when it is hot or its voltage is low.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when it runs at its own speed again",
    look=look,
    is_here=lambda snapshot: snapshot.machine.is_slowed is not None,
)
