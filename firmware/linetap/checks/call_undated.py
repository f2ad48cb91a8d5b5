# SPDX-License-Identifier: Apache-2.0
"""call_undated: calls were sealed without an agreed clock. They are kept until an amendment gives them an end.

clock_unsynced and clock_distrusted say why; this check says what it costs.
"""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    if not (count := recorder.undated):
        return None
    return Trouble(
        severity="warning",
        text_ko=f"기기의 시각을 신뢰할 수 없어 보존 기한을 정하지 못한 통화가 {count}건 있습니다. 녹음은 계속됩니다.",
        text_en=f"Calls without an end date, because the unit's time is not confirmed: {count}. Recording goes on.",
        action_ko="시각 서버를 확인하거나, 기록 보관 책임자가 시각 명령(time)에 서명하게 하십시오.",
        action_en="Check the time server, or have a vault officer sign the time (linetap command, time).",
    )


CHECK = Check(
    id="call_undated",
    clears="when a clock is agreed, or an officer has signed the time: each call gets its day then",
    look=look,
)
