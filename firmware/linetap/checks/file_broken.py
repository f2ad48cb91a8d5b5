# SPDX-License-Identifier: Apache-2.0
"""file_broken: a small file of the unit was not what had been written into it. It was set aside and made anew."""

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
        text_ko=f"손상된 파일이 발견되어 따로 보관하고 다시 만들었습니다: {names}.",
        text_en=f"A damaged file was found, set aside and made anew: {names}.",
        action_ko="녹음은 계속됩니다. 다시 발생하면 저장 장치를 교체하십시오. 원본은 이름.broken-1로 남아 있습니다.",
        action_en="Calls are recorded. If it happens again replace the disk. The damaged one is kept as NAME.broken-1.",
    )


CHECK = Check(
    id="file_broken",
    severity="warning",
    led="ok",
    clears="when the services start anew, a week after the last such file",
    look=look,
)
