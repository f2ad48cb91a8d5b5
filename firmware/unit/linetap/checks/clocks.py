# SPDX-License-Identifier: Apache-2.0
"""Checks of the clocks: a wrong time, and its effects."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble, Words, of_recorder
from linetap_core.clock import NS_PER_S, S_PER_DAY
from linetap_core.records import RecorderState


@of_recorder
def call_undated(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """Calls were sealed without an agreed clock. They are kept until an amendment gives them an end date.

    clock_unsynced and clock_distrusted give the reason; this check reports the consequence.
    """
    if not (count := recorder.undated):
        return None
    ko, en = _challenge(recorder)
    return Words(
        text_ko=f"기기의 시각을 신뢰할 수 없어 보존 기한을 정하지 못한 통화가 {count}건 있습니다. 녹음은 계속됩니다.",
        text_en=f"Calls without an end date, because the unit's time is not confirmed: {count}. Recording goes on.",
        action_ko=f"시각 서버를 확인하거나, 키 관리자가 시각 명령(time)에 서명하게 하십시오.{ko}",
        action_en=f"Check the time server, or have a vault officer sign the time.{en}",
    )


@of_recorder
def clock_distrusted(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The clock contradicts counted time. No call is destroyed by a clock that is distrusted."""
    time = recorder.retention_time
    if time is None or not (time.ahead_s or time.behind_s or time.early):
        return None
    if time.early:
        return Words(
            text_ko=f"시각 서버가 {time.early[:10]}보다 이른 시각을 알려 사용하지 않습니다. 녹음은 계속됩니다.",
            text_en=f"The time server gives a time before {time.early[:10]}. It is not used. Recording goes on.",
            action_ko="시각 서버를 바꾸거나 GPS 수신기를 점검하십시오. 시각이 맞으면 통화의 보존 기한이 정해집니다.",
            action_en="Use another time server, or check its GPS receiver. The calls then get their end date.",
        )
    ko, en = _challenge(recorder)
    if time.ahead_s:
        how_ko, how_en = f"{_long_ko(time.ahead_s)} 빠릅니다", f"{_long_en(time.ahead_s)} ahead"
    else:
        how_ko, how_en = f"{_long_ko(time.behind_s)} 느립니다", f"{_long_en(time.behind_s)} behind"
    return Words(
        text_ko=f"시계가 설명할 수 있는 것보다 {how_ko}. 이 시계로는 통화를 파기하지 않습니다.",
        text_en=f"The clock is {how_en} of the time that can be explained. No call is destroyed by it.",
        action_ko=f"시각 서버를 확인하고, 맞다면 키 관리자 두 사람이 시각 명령(time)에 함께 서명하게 하십시오.{ko}",
        action_en=f"Check the time server; if it is right, have two vault officers sign the time.{en}",
    )


def _challenge(recorder: RecorderState) -> tuple[str, str]:
    """The challenge that a signed time must answer, for the signer's program; Korean, English."""
    time = recorder.retention_time
    if time is None or not time.challenge:
        return "", ""
    return f" 확인 번호는 {time.challenge} 입니다.", f" The challenge is {time.challenge}."


def _long_ko(seconds: int) -> str:
    return f"{seconds // S_PER_DAY}일" if seconds >= 2 * S_PER_DAY else f"{max(1, seconds // 60)}분"


def _long_en(seconds: int) -> str:
    return f"{seconds // S_PER_DAY} days" if seconds >= 2 * S_PER_DAY else f"{max(1, seconds // 60)} min"


STEP_STANDS_S = 3600


@of_recorder
def clock_stepped(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The clock has jumped during recording. Times before and after the jump cannot be compared."""
    clock = recorder.clock
    if clock is None or clock.stepped_ns is None or recorder.mono_ns - clock.stepped_ns >= STEP_STANDS_S * NS_PER_S:
        return None
    seconds = abs(clock.step_ms) / 1000
    ko, en = ("앞으로", "forward") if clock.step_ms > 0 else ("뒤로", "back")
    return Words(
        text_ko=f"시계가 {seconds:.1f}초 {ko} 건너뛰었습니다. 녹음은 계속됩니다.",
        text_en=f"The clock has jumped {seconds:.1f} s {en}. Recording goes on.",
        action_ko=(
            "누가 시계를 맞추었는지, 시각 서버가 바뀌었는지 확인하십시오: journalctl -u systemd-timesyncd -u chrony"
        ),
        action_en=(
            "Find out who set it, or whether the time server changed: journalctl -u systemd-timesyncd -u chrony"
        ),
    )


PATIENCE_S = 900  # a time server's first answers take minutes


def clock_unsynced(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """The clock is not synchronised. Calls are recorded, with times as accurate as the unit's crystal.

    clock_distrusted is different: a clock with an impossible time.
    """
    recorder = snapshot.services.recorder.live
    if recorder is None:
        return standing
    clock = recorder.clock
    if clock is None or clock.synced:
        return None
    since_ns = recorder.started_ns if clock.synced_ns is None else clock.synced_ns
    if standing is None and recorder.mono_ns - since_ns < PATIENCE_S * NS_PER_S:
        return None
    return Words(
        text_ko="시계가 시각 서버와 맞춰지지 않습니다. 녹음은 계속됩니다.",
        text_en="The clock is not synchronised with a time server. Recording goes on.",
        action_ko="네트워크와 시각 서버를 확인하십시오: timedatectl timesync-status 또는 chronyc sources",
        action_en="Check the network and the time server: timedatectl timesync-status, or chronyc sources",
    )


CHECKS = (
    Check(
        "call_undated",
        clears="when a clock is agreed, or an officer has signed the time: then each call gets its end date",
        find=call_undated,
    ),
    Check(
        "clock_distrusted",
        clears="when the clock agrees again, or two vault officers have confirmed it",
        find=clock_distrusted,
    ),
    Check(
        "clock_stepped",
        clears="at the end of an hour without another jump",
        find=clock_stepped,
    ),
    Check(
        "clock_unsynced",
        clears="when the kernel reports its clock as synchronised",
        find=clock_unsynced,
    ),
)
