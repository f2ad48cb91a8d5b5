# SPDX-License-Identifier: Apache-2.0
"""smdr_unmatched: the PBX has told of calls on our lines that have no recording, or has not seen what was recorded."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    count = recorder.smdr_unmatched
    if not count:
        return None
    return Trouble(
        severity="warning",
        text_ko=f"오늘 PBX의 통화 기록과 녹음이 맞지 않는 것이 {count}건 있습니다.",
        text_en=f"Today {count} calls of the PBX and of the recordings do not match.",
        action_ko=(
            "일일 대조표를 보십시오. 한 회선에서만 나면 드라이버로 그 회선의 단자를 조이고 PBX의 시계를 맞추십시오."
        ),
        action_en=(
            "See the daily reconciliation. If it is always the same line, tighten its terminals with a "
            "screwdriver, and set the PBX's clock."
        ),
    )


CHECK = Check(
    id="smdr_unmatched",
    clears="at the end of the day, or when the missing half has come",
    look=look,
)
