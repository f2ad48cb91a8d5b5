# SPDX-License-Identifier: Apache-2.0
"""disk_forecast: at the present rate the disk is full before the calls on it are over; told while there is time.

The recorder reckons with what comes a day and with what goes on each day to come (recorder/vault/stored.py).
"""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble

CHECK_ID = "disk_forecast"


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    recorder = snapshot.services.recorder
    if recorder.status != "alive" or recorder.state is None:
        return standing
    full, kept = recorder.state.full_in_days, recorder.state.retention_days
    if full is None:
        return None
    days = "1 day" if full == 1 else f"{full} days"
    return Trouble(
        severity="warning",
        text_ko=f"지금처럼 녹음하면 {full}일 뒤에 저장 공간이 찹니다 (보존 기간 {kept}일).",
        text_en=f"At the present rate the disk is full in {days}; the retention is {kept}.",
        action_ko=f"{full}일 안에 {snapshot.vault}의 디스크를 더 큰 것으로 바꾸십시오. 봉인된 통화는 지우지 마십시오.",
        action_en=f"Put in a larger disk for {snapshot.vault} within {days}. Do not remove sealed calls.",
    )


CHECK = Check(
    id=CHECK_ID,
    severity="warning",
    led="disk_forecast",
    clears="when the calls that go make room in time again",
    look=look,
)
