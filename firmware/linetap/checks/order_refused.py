# SPDX-License-Identifier: Apache-2.0
"""order_refused: somebody has put an order onto the card that the unit did not take. It works on as it was."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState

TAKEN = ("taken", "retired")
_KO = {
    "order_unsigned": "서명이 없습니다",
    "order_signature": "서명이 내용과 맞지 않습니다",
    "order_signer": "이 기기의 승인 기관이 서명하지 않았습니다",
    "order_other_unit": "다른 기기의 것입니다",
    "order_undated": "작성 시각이 없습니다",
    "order_older": "이미 적용한 것보다 오래되었습니다",
    "order_no_authority": "승인 기관 없이 설치한 기기이므로 철거 절차를 거쳐야 합니다",
    "order_config": "어느 기관의 설정을 받아야 하는지 알 수 없으므로 철거 절차를 거쳐야 합니다",
}
_EN = {
    "order_unsigned": "it is not signed",
    "order_signature": "its signature does not fit",
    "order_signer": "this unit's authority did not sign it",
    "order_other_unit": "it is another unit's",
    "order_undated": "it does not say when it was made",
    "order_older": "it is older than one that was taken",
    "order_no_authority": "the unit was commissioned without an authority: decommission it first",
    "order_config": "whose order it takes is not known any more: decommission it first",
}


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    found = recorder.order
    if found is None or found.code in TAKEN:
        return None
    return Trouble(
        severity="warning",
        text_ko=f"카드의 설정을 적용하지 않았습니다: {_KO.get(found.code, '내용이 잘못되었습니다')} ({found.code}).",
        text_en=f"An order on the card was refused: {_EN.get(found.code, 'something in it is wrong')} ({found.code}).",
        action_ko="누가 카드를 꺼냈는지 확인하고, 카드의 linetap-error.txt를 읽은 뒤 파일을 지우고 다시 켜십시오.",
        action_en="Find out who had the card. Read linetap-error.txt on it, remove the file, and start the unit again.",
    )


CHECK = Check(id="order_refused", clears="when the unit starts without such a file", look=look)
