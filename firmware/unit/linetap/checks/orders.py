# SPDX-License-Identifier: Apache-2.0
"""Checks of orders that the unit did not execute (updates, commands, the card), and of the policy in force."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Words, of_recorder
from linetap.config.weakening import WORDS
from linetap_core.clock import NS_PER_S
from linetap_core.records import RecorderState, WeakeningState

UPDATE_FAULTS = {  # Korean, English
    "update_fetch": ("파일을 내려받지 못했습니다", "the download failed"),
    "update_size": ("파일 크기가 명령과 다릅니다", "its size differs from the signed order"),
    "update_sha256": ("파일 내용이 명령과 다릅니다", "its content differs from the signed order"),
    "update_no_room": ("저장 공간이 모자랍니다", "there is no room for it"),
    "update_signature": (
        "파일이 손상되었거나 서명을 믿을 수 없습니다",
        "the file is damaged, or its signature is not trusted",
    ),
    "update_other_product": ("다른 제품의 파일입니다", "it is for another product"),
    "update_other_version": ("파일의 버전이 명령과 다릅니다", "its version differs from the signed order"),
    "update_older": ("지금 버전보다 오래된 버전입니다", "it is older than the running version"),
    "update_not_logged": (
        "공개 기록에 있다는 증명이 없거나 맞지 않습니다",
        "there is no valid proof that it is in the log of versions",
    ),
    "update_stick": ("USB 메모리를 쓸 수 없습니다", "the USB stick cannot be used"),
    "update_busy": ("통화가 없는 때를 기다리지 못했습니다", "there was no moment without a call"),
    "update_fell_back": (
        "새 버전이 시작되지 않아 이전 버전으로 돌아왔습니다",
        "the new version did not start, and the old one runs again",
    ),
    "update_self_test": (
        "새 버전의 자가 점검이 실패하여 이전 버전으로 돌아왔습니다",
        "the new version failed its self-test, and the old one runs again",
    ),
}


@of_recorder
def update_failed(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """An update to another version failed, and the unit kept its version. Calls are recorded."""
    found = recorder.update
    if found is None or found.step != "failed":
        return None
    why_ko, why_en = UPDATE_FAULTS.get(found.code, ("설치하지 못했습니다", "it could not be installed"))
    # An unreadable version, such as that of a stick without one, is "?".
    return Words(
        text_ko=f"업데이트 {found.version} 실패: {why_ko} ({found.code}).",
        text_en=f"Update {found.version} failed: {why_en} ({found.code}).",
        action_ko="녹음은 이전 버전으로 계속됩니다. 이유: linetap update show. USB 메모리가 꽂혀 있으면 뽑으십시오.",
        action_en="The old version goes on recording. Reason: linetap update show. Remove the USB stick, if any.",
    )


REFUSAL_STANDS_S = 3600


@of_recorder
def command_refused(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """A command was not permitted, or out of order. The alert shows only its code and role."""
    last = recorder.refused_commands
    if not last.count or recorder.mono_ns - last.mono_ns >= REFUSAL_STANDS_S * NS_PER_S:
        return None
    # Code and role come from this program and the signed roles: no sender can put a text here.
    by_ko = f"역할 {last.role}" if last.role else "서명 확인 안 됨"
    by_en = f"role {last.role}" if last.role else "signature not verified"
    return Words(
        text_ko=f"명령을 거부했습니다: {last.code} ({by_ko}). 시작 이후 {last.count}건.",
        text_en=f"A command was refused: {last.code}, {by_en}. {last.count} since the recorder started.",
        action_ko="누가 보냈는지 확인하십시오. 코드의 뜻은 docs/commands.md에 있습니다. 현장에서 할 일은 없습니다.",
        action_en="Find out who sent it; docs/commands.md has the codes. There is nothing to do in the closet.",
    )


ORDER_TAKEN = ("taken", "retired")
ORDER_FAULTS = {  # Korean, English
    "order_unsigned": ("서명이 없습니다", "it is not signed"),
    "order_signature": ("서명이 내용과 맞지 않습니다", "its signature does not match"),
    "order_signer": ("이 기기의 승인 기관이 서명하지 않았습니다", "this unit's authority did not sign it"),
    "order_other_unit": ("다른 기기의 것입니다", "it is for another unit"),
    "order_undated": ("작성 시각이 없습니다", "it has no creation time"),
    "order_older": ("이미 적용한 것보다 오래되었습니다", "it is older than one already applied"),
    "order_no_authority": (
        "승인 기관 없이 설치한 기기이므로 철거 절차를 거쳐야 합니다",
        "the unit was commissioned without an authority: decommission it first",
    ),
    "order_config": (
        "어느 기관의 설정을 받아야 하는지 알 수 없으므로 철거 절차를 거쳐야 합니다",
        "the unit's record of its authority is lost: decommission it first",
    ),
}


@of_recorder
def order_refused(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The unit refused an order on its card, and continues unchanged."""
    found = recorder.order
    if found is None or found.code in ORDER_TAKEN:
        return None
    why_ko, why_en = ORDER_FAULTS.get(found.code, ("내용이 잘못되었습니다", "it has errors"))
    return Words(
        text_ko=f"카드의 설정을 적용하지 않았습니다: {why_ko} ({found.code}).",
        text_en=f"An order on the card was refused: {why_en} ({found.code}).",
        action_ko="누가 카드를 꺼냈는지 확인하고, 카드의 linetap-error.txt를 읽은 뒤 파일을 지우고 다시 켜십시오.",
        action_en="Find out who had the card. Read linetap-error.txt on it, remove the file, and start the unit again.",
    )


# --- The policy in force ----------------------------------------------------------------------------------------------


_DEPARTURES = {  # Korean, English
    "record_and_flag": (
        "안내 방송을 하지 못한 통화도 녹음합니다 (on_notice_failure)",
        "calls are recorded even if the notice could not be played (on_notice_failure)",
    ),
    "record_emergency": (
        "긴급 전화도 녹음합니다 (record_emergency 또는 emergency_numbers)",
        "emergency calls are recorded (record_emergency or emergency_numbers)",
    ),
}


@of_recorder
def policy_departs(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The configuration records calls that are not recorded by default. That is allowed, but always reported."""
    found = [_DEPARTURES[code] for code in recorder.departures if code in _DEPARTURES]
    if not found:
        return None
    return Words(
        text_ko=f"설정이 기본과 다릅니다: {', '.join(ko for ko, _ in found)}.",
        text_en=f"The configuration departs from the default: {', '.join(en for _, en in found)}.",
        action_ko="의도한 설정인지 책임자에게 확인하십시오. 현장에서 할 일은 없습니다.",
        action_en="Ask the person responsible whether this is intended. There is nothing to do in the closet.",
    )


MOST_LISTED = 3  # codes in the text; `linetap command state` shows the rest
_BY = {  # Korean, English
    "command": ("서명된 명령", "a signed command"),
    "file": ("기기에서 바뀐 파일", "a file edited on the unit"),
    "update": ("업데이트", "an update"),
    "authority": ("역할과 열쇠를 정하는 서명", "the authority's signature"),
}


@of_recorder
def weakened(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """Less is recorded, announced, kept or reported than before, and nobody besides its signers has confirmed that."""
    standing = recorder.weakenings
    if not standing:
        return None
    codes = list(dict.fromkeys(code for each in standing for code in each.codes))
    by = list(dict.fromkeys(each.by for each in standing))
    by_ko, by_en = ", ".join(_BY[each][0] for each in by), ", ".join(_BY[each][1] for each in by)
    first_ko, first_en = _first(standing[0])
    return Words(
        text_ko=f"녹음·안내·보존 설정이 약화되었습니다 ({by_ko}): {_described(codes, 0)}. {first_ko}",
        text_en=f"Weakened by {by_en}: {_described(codes, 1)}. {first_en}",
        action_ko="서명하지 않은 키 관리자나 승인자가 확인하거나 취소하여야 합니다. 현장에서 할 일은 없습니다.",
        action_en="A vault officer or an approver who did not sign it must confirm or cancel it. There is nothing to do"
        " in the closet.",
    )


def _described(codes: list[str], language: int) -> str:
    # A code from a later version has no words here.
    words = [f"{WORDS[code][language]} [{code}]" if code in WORDS else f"[{code}]" for code in codes[:MOST_LISTED]]
    return ", ".join([*words, *([f"+{len(codes) - MOST_LISTED}"] if len(codes) > MOST_LISTED else [])])


def _first(standing: WeakeningState) -> tuple[str, str]:
    if standing.in_effect:
        return f"번호 {standing.id}.", f"Its number is {standing.id}."
    if standing.by == "file":
        return (
            f"번호 {standing.id}, 두 사람이 서명하지 않아 적용되지 않았습니다.",
            f"Its number is {standing.id}; it is not in effect, since it lacks two signatures.",
        )
    hours = -(-standing.waits_s // 3600)
    return (
        f"번호 {standing.id}, {hours}시간 뒤부터 통화가 없을 때 적용됩니다.",
        f"Its number is {standing.id}; it takes effect in {hours} h, when no call is in progress.",
    )


CHECKS = (
    Check("update_failed", clears="when another update begins", find=update_failed),
    Check("command_refused", clears="at the end of an hour without another refusal", find=command_refused),
    Check("order_refused", clears="when the unit starts without such a file", find=order_refused),
    Check("policy_departs", clears="when the configuration no longer does so", find=policy_departs),
    Check("weakened", clears="when a second person has confirmed or cancelled it", find=weakened),
)
