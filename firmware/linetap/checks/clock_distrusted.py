# SPDX-License-Identifier: Apache-2.0
"""clock_distrusted: the clock says something else than what can be explained. Nothing is destroyed by its word."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState

_DAY_S = 86_400


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    time = recorder.retention_time
    if time is None or not (time.ahead_s or time.behind_s or time.early):
        return None
    if time.early:
        return Trouble(
            severity="warning",
            text_ko=f"시각 서버가 {time.early[:10]}보다 이른 시각을 알려 사용하지 않습니다. 녹음은 계속됩니다.",
            text_en=f"The time server gives a time before {time.early[:10]}. It is not used. Recording goes on.",
            action_ko="시각 서버를 바꾸거나 GPS 수신기를 점검하십시오. 시각이 맞으면 통화의 보존 기한이 정해집니다.",
            action_en="Use another time server, or check its GPS receiver. Then the calls get their end date.",
        )
    if time.ahead_s:
        how_ko, how_en = f"{_long_ko(time.ahead_s)} 빠릅니다", f"{_long_en(time.ahead_s)} ahead"
    else:
        how_ko, how_en = f"{_long_ko(time.behind_s)} 느립니다", f"{_long_en(time.behind_s)} behind"
    return Trouble(
        severity="warning",
        text_ko=f"시계가 설명할 수 있는 것보다 {how_ko}. 이 시계로는 통화를 파기하지 않습니다.",
        text_en=f"The clock is {how_en} of what can be explained. No call is destroyed by it.",
        action_ko="시각 서버를 확인하고, 맞다면 기록 보관 책임자 두 사람이 시각 명령(time)에 함께 서명하게 하십시오.",
        action_en="Check the time server; if it is right, have two vault officers confirm it (linetap command, time).",
    )


def _long_ko(seconds: int) -> str:
    return f"{seconds // _DAY_S}일" if seconds >= 2 * _DAY_S else f"{max(1, seconds // 60)}분"


def _long_en(seconds: int) -> str:
    return f"{seconds // _DAY_S} days" if seconds >= 2 * _DAY_S else f"{max(1, seconds // 60)} min"


CHECK = Check(
    id="clock_distrusted",
    clears="when the clock agrees again, or two vault officers have confirmed it",
    look=look,
)
