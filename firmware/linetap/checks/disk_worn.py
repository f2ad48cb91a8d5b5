# SPDX-License-Identifier: Apache-2.0
"""disk_worn: an eMMC says itself that it has come near the end of its life. SD cards say nothing of the kind."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.machine import Wear
from linetap.records import Severity

CHECK_ID = "disk_worn"
WARN_PERCENT = 90
_SPARE: dict[int, Severity] = {2: "warning", 3: "critical"}


def severity_of(wear: Wear) -> Severity | None:
    if wear.used_percent > 100 or _SPARE.get(wear.spare) == "critical":
        return "critical"
    return "warning" if wear.used_percent >= WARN_PERCENT else _SPARE.get(wear.spare)


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    found = {device: bad for device, wear in snapshot.machine.disks.items() if (bad := severity_of(wear))}
    if not found:
        return None
    told = ", ".join(f"{device}: {snapshot.machine.disks[device].used_percent} %" for device in found)
    return Trouble(
        severity="critical" if "critical" in found.values() else "warning",
        text_ko=f"저장 장치가 수명을 거의 다 썼습니다 ({told}).",
        text_en=f"A disk is nearly worn out ({told} of its life).",
        action_ko="기기의 저장 장치를 교체하십시오. 쓰던 장치는 증거이니 지우지 말고 보관하십시오.",
        action_en="Replace the unit's disk. The old one is evidence: keep it, and do not wipe it.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when another disk is in its place",
    look=look,
    is_here=lambda snapshot: bool(snapshot.machine.disks),
)
