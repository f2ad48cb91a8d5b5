# SPDX-License-Identifier: Apache-2.0
"""file_broken: a small file of the unit was damaged. It was set aside and rebuilt."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    services = snapshot.services
    everyone = (*services.capture.values(), services.recorder, services.reporter, services.panel)
    found = sorted({name for seen in everyone if (state := seen.word) is not None for name in state.broken_files})
    if not found:
        return None
    names = ", ".join(found)
    return Trouble(
        severity="warning",
        text_ko=f"손상된 파일을 따로 보관하고 새로 만들었습니다: {names}.",
        text_en=f"A damaged file was set aside and rebuilt: {names}.",
        action_ko="녹음은 계속됩니다. 다시 발생하면 저장 장치를 교체하십시오. 손상된 파일은 NAME.broken-1에 있습니다.",
        action_en="Recording goes on. If it happens again, replace the disk. The damaged file is NAME.broken-1.",
    )


CHECK = Check(
    id="file_broken",
    clears="when the services start anew, a week after the last such file",
    look=look,
)
