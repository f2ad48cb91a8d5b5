# SPDX-License-Identifier: Apache-2.0
"""key_list_end: the list of epochs will soon hold no day for a call of the longest class, or holds none any more."""

from __future__ import annotations

from linetap.checks.days import days_en, step_of
from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState, Severity


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    key_list = recorder.key_list
    if key_list is None:
        return None
    left = key_list.fits_days
    if left is None:
        return _trouble(
            "critical",
            "쓸 수 있는 키 목록이 없어 통화를 예비(overflow) 키로 봉인합니다. 녹음은 계속됩니다.",
            "There is no key list that can be used: calls are sealed to the overflow epoch. Recording goes on.",
        )
    if left == 0:
        return _trouble(
            "critical",
            f"키 목록이 {key_list.last_day}에 끝나 가장 긴 보존 등급의 통화를 예비(overflow) 키로 봉인합니다.",
            f"The key list ends on {key_list.last_day}: calls of the longest class are sealed to the overflow epoch.",
        )
    step = step_of(left)
    if step is None:
        return None
    within = days_en(step)
    return _trouble(
        "warning",
        f"{step}일 안에 키 목록({key_list.last_day}까지)에 가장 긴 보존 등급의 날이 없어집니다.",
        f"Within {within} the key list, which ends on {key_list.last_day}, has no day for the longest class any more.",
    )


def _trouble(severity: Severity, text_ko: str, text_en: str) -> Trouble:
    return Trouble(
        severity=severity,
        text_ko=text_ko,
        text_en=text_en,
        action_ko="기록 보관 책임자에게 linetap keygen epochs --extend로 목록을 늘려 서명받도록 하십시오.",
        action_en="Have the vault officer extend the list (linetap keygen epochs --extend) and the authority sign it.",
    )


CHECK = Check(
    id="key_list_end",
    clears="when the unit has taken a list that is long enough",
    look=look,
)
