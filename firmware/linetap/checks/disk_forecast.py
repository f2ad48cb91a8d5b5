# SPDX-License-Identifier: Apache-2.0
"""disk_forecast: at the present rate the disk is full before the calls on it are over; told while there is time.

The recorder reckons with what comes a day and with what goes on each day to come (recorder/vault/stored.py).
"""

from __future__ import annotations

from linetap.checks.days import days_en
from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState

CHECK_ID = "disk_forecast"


@of_recorder
def look(snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    full, kept = recorder.full_in_days, recorder.retention_days
    if full is None:
        return None
    days = days_en(full)
    return Trouble(
        severity="warning",
        text_ko=f"지금처럼 녹음하면 {full}일 뒤에 저장 공간이 찹니다 (보존 기간 {kept}일).",
        text_en=f"At the present rate the disk is full in {days}; the retention is {kept}.",
        action_ko=f"{full}일 안에 {snapshot.vault}의 디스크를 더 큰 것으로 바꾸십시오. 봉인된 통화는 지우지 마십시오.",
        action_en=f"Put in a larger disk for {snapshot.vault} within {days}. Do not remove sealed calls.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when the calls that go make room in time again",
    look=look,
)
