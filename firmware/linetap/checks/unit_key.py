# SPDX-License-Identifier: Apache-2.0
"""unit_key: the TPM that holds the unit's key does not sign. Calls are recorded, and wait for their signature."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
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
    return Trouble(
        severity="critical",
        text_ko=f"장치 키로 서명할 수 없습니다({why_ko}, {fault}). 녹음은 계속되며 {waiting}건이 서명을 기다립니다.",
        text_en=f"The unit's key does not sign: {why_en} ({fault}). Recording goes on; {waiting} wait for a signature.",
        action_ko=action_ko,
        action_en=action_en,
    )


CHECK = Check(
    id="unit_key",
    clears="when the key signs again",
    look=look,
)
