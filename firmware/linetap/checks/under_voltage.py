# SPDX-License-Identifier: Apache-2.0
"""under_voltage: the supply has been too low for the Pi. Calls are recorded until it goes off, which may be soon."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.machine import DIP_S, Machine

CHECK_ID = "under_voltage"


def is_low(machine: Machine) -> bool:
    return machine.under_voltage is True


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    if not is_low(snapshot.machine):
        return None
    return Trouble(
        severity="critical",
        text_ko="전원 전압이 낮습니다. 기기가 꺼질 수 있습니다.",
        text_en="The supply voltage is too low. The unit may go off.",
        action_ko="전원 어댑터와 케이블을 다시 꽂고, 계속되면 정품 어댑터로 바꾸십시오. USB 기기를 늘리지 마십시오.",
        action_en=(
            "Plug supply and cable in again; if it goes on, replace the supply with the proper one. Add no USB devices."
        ),
    )


CHECK = Check(
    id=CHECK_ID,
    clears=f"when the supply has been good for {DIP_S // 60} min",
    look=look,
    is_here=lambda snapshot: snapshot.machine.under_voltage is not None,
)
