# SPDX-License-Identifier: Apache-2.0
"""Checks of what the unit keeps and signs: damaged files, its log, its key."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble, Words, of_recorder
from linetap_core.records import RecorderState


def file_broken(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """A small file of the unit was damaged. It was set aside and rebuilt."""
    services = snapshot.services
    everyone = (*services.capture.values(), services.recorder, services.reporter, services.panel)
    found = sorted({name for seen in everyone if (state := seen.word) is not None for name in state.broken_files})
    if not found:
        return None
    names = ", ".join(found)
    return Words(
        text_ko=f"손상된 파일을 따로 보관하고 새로 만들었습니다: {names}.",
        text_en=f"A damaged file was set aside and rebuilt: {names}.",
        action_ko="녹음은 계속됩니다. 다시 발생하면 저장 장치를 교체하십시오. 손상된 파일은 NAME.broken-1에 있습니다.",
        action_en="Recording goes on. If it happens again, replace the disk. The damaged file is NAME.broken-1.",
    )


@of_recorder
def log_changed(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The unit's log did not fit its own signed head at a start, or the head that the desk has."""
    if not recorder.logs_kept:
        return None
    names = ", ".join(recorder.logs_kept[-3:])
    return Words(
        text_ko=f"기기의 로그가 서명된 내용과 다릅니다. 기존 로그를 보존하고 새 로그를 시작하였습니다 ({names}).",
        text_en=f"The unit's log differs from what it signed. A new log has begun; the old one is kept ({names}).",
        action_ko="카드를 교체하고, 쓰던 카드는 지우지 말고 보관하십시오. 녹음은 계속됩니다.",
        action_en="Replace the card and keep the old one, unwiped. Recording goes on.",
    )


@of_recorder
def unit_key(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The TPM that holds the unit's key does not sign. Calls are recorded, and wait for their signature."""
    fault, waiting = recorder.key_fault, recorder.unsigned
    if fault is None:
        return None
    if fault == "tpm_policy":
        why_ko, why_en = "승인되지 않은 부팅입니다", "this boot is none that the release key has signed"
        action_ko = "정식 이미지로 다시 시작하십시오. 그래도 계속되면 누가 카드를 바꾸었는지 조사하십시오."
        action_en = "Start the unit from its own image. If that does not end it, find out who has changed the card."
    else:
        why_ko, why_en = "TPM이 응답하지 않습니다", "the TPM does not answer, or refuses"
        action_ko = "전원을 껐다 켜십시오. 그래도 계속되면 TPM을 교체하고 장치를 새로 등록하십시오."
        action_en = "Switch the unit off and on. If that does not end it, replace the TPM and enrol the unit anew."
    return Words(
        text_ko=f"장치 키로 서명할 수 없습니다({why_ko}, {fault}). 녹음은 계속되며 {waiting}건이 서명을 기다립니다.",
        text_en=f"The unit's key does not sign: {why_en} ({fault}). Recording goes on; {waiting} wait for a signature.",
        action_ko=action_ko,
        action_en=action_en,
    )


CHECKS = (
    Check(
        "file_broken",
        clears="when the services start anew, a week after the last such file",
        look=file_broken,
    ),
    Check(
        "log_changed",
        clears="when the log that was set aside has been taken out of the vault by a person",
        look=log_changed,
    ),
    Check(
        "unit_key",
        clears="when the key signs again",
        look=unit_key,
    ),
)
