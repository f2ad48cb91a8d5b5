# SPDX-License-Identifier: Apache-2.0
"""disk_errors: the file system has found itself damaged. It counts that in itself, until it is checked."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.machine import Machine

CHECK_ID = "disk_errors"


def damaged(machine: Machine) -> list[str]:
    """The devices."""
    return [device for device, count in machine.disk_errors.items() if count]


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    found = damaged(snapshot.machine)
    if not found:
        return None
    told = ", ".join(f"{device}: {snapshot.machine.disk_errors[device]}" for device in found)
    return Trouble(
        severity="critical",
        text_ko=f"파일 시스템에 오류가 있습니다 ({told}).",
        text_en=f"A file system has errors ({told}).",
        action_ko="디스크를 곧 교체하십시오. 쓰던 디스크는 증거이니 지우지 말고 보관하십시오.",
        action_en="Replace the disk soon. The old one is evidence: keep it, and do not wipe it.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when the file system was checked (e2fsck) and counts no error",
    look=look,
    is_here=lambda snapshot: bool(snapshot.machine.disk_errors),
)
