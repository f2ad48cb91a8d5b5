# SPDX-License-Identifier: Apache-2.0
"""log_changed: the unit's log did not fit its own signed head at a start, or the head that the desk has."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    if not recorder.logs_kept:
        return None
    names = ", ".join(recorder.logs_kept[-3:])
    return Trouble(
        severity="critical",
        text_ko=f"기기의 로그가 서명된 내용과 다릅니다. 기존 로그를 보존하고 새 로그를 시작하였습니다 ({names}).",
        text_en=f"The unit's log differs from what it signed. A new log has begun; the old one is kept ({names}).",
        action_ko="카드를 교체하고, 쓰던 카드는 지우지 말고 보관하십시오. 녹음은 계속됩니다.",
        action_en="Replace the card and keep the old one, unwiped. Recording goes on.",
    )


CHECK = Check(
    id="log_changed",
    clears="when the log that was set aside has been taken out of the vault by a person",
    look=look,
)
