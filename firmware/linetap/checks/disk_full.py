# SPDX-License-Identifier: Apache-2.0
"""disk_full: warns below twice the reserve, critical when calls are no longer recorded for want of room."""

from __future__ import annotations

from linetap.checks.frame import MB, Check, Snapshot, Trouble

CHECK_ID = "disk_full"
WARN_AT = 2.0  # x storage.reserve_mb: a warning while there is still time to act
CLEAR_BY = 0.25  # x the reserve above a threshold before it is left again: a call that is sealed must not make it flap


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    recorder = snapshot.services.recorder
    refused = recorder.word is not None and (recorder.word.recording_refused or recorder.fault) == CHECK_ID
    if snapshot.free_bytes is None:
        return _unreadable(snapshot) if not refused else _critical(snapshot)
    # A living recorder says itself when it goes on, and is not contradicted; without one the threshold clears late.
    late = standing is not None and standing.severity == "critical" and recorder.status != "alive"
    if refused or _below(snapshot, 1.0, late):
        return _critical(snapshot)
    return _warning(snapshot) if _below(snapshot, WARN_AT, standing is not None) else None


def _below(snapshot: Snapshot, times: float, stands: bool) -> bool:
    assert snapshot.free_bytes is not None
    return snapshot.free_bytes < snapshot.reserve_bytes * (times + CLEAR_BY * stands)


def _critical(snapshot: Snapshot) -> Trouble:
    reserve = snapshot.reserve_bytes // MB
    return Trouble(
        severity="critical",
        text_ko=f"저장 공간이 없어 통화를 녹음하지 않습니다 (남은 공간 {_mb(snapshot)} MB, 예비 {reserve} MB).",
        text_en=f"Calls are not recorded: the disk is full ({_mb(snapshot)} MB free, {reserve} MB are kept free).",
        action_ko=f"{snapshot.vault}의 디스크를 늘리거나 다른 파일을 지우십시오. 봉인된 통화는 지우지 마십시오.",
        action_en=f"Enlarge the disk of {snapshot.vault} or remove other files. Do not remove sealed calls.",
    )


def _warning(snapshot: Snapshot) -> Trouble:
    reserve = snapshot.reserve_bytes // MB
    return Trouble(
        severity="warning",
        text_ko=f"저장 공간이 얼마 남지 않았습니다 (남은 공간 {_mb(snapshot)} MB, {reserve} MB 아래에서 녹음 중지).",
        text_en=f"The disk is nearly full ({_mb(snapshot)} MB free; below {reserve} MB recording stops).",
        action_ko=f"{snapshot.vault}의 저장 공간을 곧 늘리십시오.",
        action_en=f"Make more room for {snapshot.vault} soon.",
    )


def _unreadable(snapshot: Snapshot) -> Trouble:
    return Trouble(
        severity="critical",
        text_ko=f"저장소 {snapshot.vault}를 읽을 수 없습니다.",
        text_en=f"The file system of {snapshot.vault} does not answer.",
        action_ko="디스크 연결과 마운트를 확인하십시오.",
        action_en="Check that the disk is connected and mounted.",
    )


def _mb(snapshot: Snapshot) -> str:
    return "?" if snapshot.free_bytes is None else str(snapshot.free_bytes // MB)


CHECK = Check(
    id=CHECK_ID,
    clears="when calls are recorded again and free space is a quarter of the reserve above the warning's threshold",
    look=look,
)
