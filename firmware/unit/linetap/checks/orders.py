# SPDX-License-Identifier: Apache-2.0
"""Checks of what the unit was told to do and did not: updates, commands, orders on the card."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Words, of_recorder
from linetap_core.clock import NS_PER_S
from linetap_core.records import RecorderState

UPDATE_FAULTS = {  # Korean, English
    "update_fetch": ("파일을 내려받지 못했습니다", "it could not be fetched"),
    "update_size": ("파일 크기가 명령과 다릅니다", "it has another size than was signed"),
    "update_sha256": ("파일 내용이 명령과 다릅니다", "it is not what was signed"),
    "update_no_room": ("저장 공간이 모자랍니다", "there is no room for it"),
    "update_signature": (
        "파일이 손상되었거나 서명을 믿을 수 없습니다",
        "the file is damaged, or its signature is not to be trusted",
    ),
    "update_other_product": ("다른 제품의 파일입니다", "it is for another product"),
    "update_other_version": ("파일의 버전이 명령과 다릅니다", "it has another version than was signed"),
    "update_older": ("지금 버전보다 오래된 버전입니다", "it is older than the version that runs"),
    "update_stick": ("USB 메모리를 쓸 수 없습니다", "the USB stick cannot be used"),
    "update_busy": ("통화가 없는 때를 기다리지 못했습니다", "there was no moment without a call"),
    "update_fell_back": (
        "새 버전이 시작되지 않아 이전 버전으로 돌아왔습니다",
        "the new version did not come up, and the old one runs again",
    ),
    "update_self_test": (
        "새 버전의 자가 점검이 실패하여 이전 버전으로 돌아왔습니다",
        "the new version was not well, and the old one runs again",
    ),
}


@of_recorder
def update_failed(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """Another version was wanted, and the unit has stayed with the one it had. Calls are recorded."""
    found = recorder.update
    if found is None or found.step != "failed":
        return None
    why_ko, why_en = UPDATE_FAULTS.get(found.code, ("설치하지 못했습니다", "it could not be installed"))
    # A version that nobody could read is "?": a stick's that is none.
    return Words(
        text_ko=f"업데이트 {found.version} 실패: {why_ko} ({found.code}).",
        text_en=f"Update {found.version} failed: {why_en} ({found.code}).",
        action_ko="녹음은 이전 버전으로 계속됩니다. 이유: linetap update show. USB 메모리가 꽂혀 있으면 뽑으십시오.",
        action_en="The old version goes on recording. Why: linetap update show. Take out a USB stick that is still in.",
    )


REFUSAL_STANDS_S = 3600


@of_recorder
def command_refused(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """Somebody has asked for what he may not, or not in order. Of what, only the code and the role."""
    last = recorder.refused_commands
    if not last.count or recorder.mono_ns - last.mono_ns >= REFUSAL_STANDS_S * NS_PER_S:
        return None
    # Code and role are words of this program's and of the signed roles: nobody can put a text of his own here.
    by_ko = f"역할 {last.role}" if last.role else "서명 확인 안 됨"
    by_en = f"of role {last.role}" if last.role else "of nobody known"
    return Words(
        text_ko=f"명령을 거부했습니다: {last.code} ({by_ko}). 시작 이후 {last.count}건.",
        text_en=f"A command was refused: {last.code}, {by_en}. {last.count} since the recorder started.",
        action_ko="누가 보냈는지 확인하십시오. 코드의 뜻은 docs/commands.md에 있습니다. 현장에서 할 일은 없습니다.",
        action_en="Find out who sent it; docs/commands.md has the codes. There is nothing to do in the closet.",
    )


ORDER_TAKEN = ("taken", "retired")
ORDER_FAULTS = {  # Korean, English
    "order_unsigned": ("서명이 없습니다", "it is not signed"),
    "order_signature": ("서명이 내용과 맞지 않습니다", "its signature does not fit"),
    "order_signer": ("이 기기의 승인 기관이 서명하지 않았습니다", "this unit's authority did not sign it"),
    "order_other_unit": ("다른 기기의 것입니다", "it is another unit's"),
    "order_undated": ("작성 시각이 없습니다", "it does not say when it was made"),
    "order_older": ("이미 적용한 것보다 오래되었습니다", "it is older than one that was taken"),
    "order_no_authority": (
        "승인 기관 없이 설치한 기기이므로 철거 절차를 거쳐야 합니다",
        "the unit was commissioned without an authority: decommission it first",
    ),
    "order_config": (
        "어느 기관의 설정을 받아야 하는지 알 수 없으므로 철거 절차를 거쳐야 합니다",
        "whose order it takes is not known any more: decommission it first",
    ),
}


@of_recorder
def order_refused(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """Somebody has put an order onto the card that the unit did not take. It works on as it was."""
    found = recorder.order
    if found is None or found.code in ORDER_TAKEN:
        return None
    why_ko, why_en = ORDER_FAULTS.get(found.code, ("내용이 잘못되었습니다", "something in it is wrong"))
    return Words(
        text_ko=f"카드의 설정을 적용하지 않았습니다: {why_ko} ({found.code}).",
        text_en=f"An order on the card was refused: {why_en} ({found.code}).",
        action_ko="누가 카드를 꺼냈는지 확인하고, 카드의 linetap-error.txt를 읽은 뒤 파일을 지우고 다시 켜십시오.",
        action_en="Find out who had the card. Read linetap-error.txt on it, remove the file, and start the unit again.",
    )


CHECKS = (
    Check("update_failed", clears="when another update begins", look=update_failed),
    Check("command_refused", clears="at the end of an hour without another one", look=command_refused),
    Check("order_refused", clears="when the unit starts without such a file", look=order_refused),
)
