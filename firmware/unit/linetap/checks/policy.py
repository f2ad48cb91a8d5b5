# SPDX-License-Identifier: Apache-2.0
"""Checks of the policy in force: where it departs from the default, and who has weakened it."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Words, of_recorder
from linetap.config.weakening import WORDS
from linetap_core.records import RecorderState, WeakeningState

_DEPARTURES = {  # Korean, English
    "record_and_flag": (
        "안내 방송을 하지 못한 통화도 녹음합니다 (on_notice_failure)",
        "a call is recorded also where its notice could not be played (on_notice_failure)",
    ),
    "record_emergency": (
        "긴급 전화도 녹음합니다 (record_emergency)",
        "emergency calls are recorded (record_emergency)",
    ),
}


@of_recorder
def policy_departs(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The configuration records what is not recorded by default. Allowed, and never silent."""
    found = [_DEPARTURES[code] for code in recorder.departures if code in _DEPARTURES]
    if not found:
        return None
    return Words(
        text_ko=f"설정이 기본과 다릅니다: {', '.join(ko for ko, _ in found)}.",
        text_en=f"The configuration departs from the default: {', '.join(en for _, en in found)}.",
        action_ko="의도한 설정인지 책임자에게 확인하십시오. 현장에서 할 일은 없습니다.",
        action_en="Ask whoever is responsible whether this is meant. There is nothing to do in the closet.",
    )


MOST_SAID = 3  # codes, of all; `linetap command state` has the rest
_BY = {  # Korean, English
    "command": ("서명된 명령", "a signed command"),
    "file": ("기기에서 바뀐 파일", "a file that was changed on the unit"),
    "update": ("업데이트", "an update"),
    "authority": ("역할과 열쇠를 정하는 서명", "the authority's signature"),
}


@of_recorder
def weakened(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """Less is recorded, announced, kept or told than before, and nobody but who signed it has confirmed that."""
    standing = recorder.weakenings
    if not standing:
        return None
    codes = list(dict.fromkeys(code for each in standing for code in each.codes))
    by = list(dict.fromkeys(each.by for each in standing))
    by_ko, by_en = ", ".join(_BY[each][0] for each in by), ", ".join(_BY[each][1] for each in by)
    first_ko, first_en = _first(standing[0])
    return Words(
        text_ko=f"녹음·안내·보존 설정이 약화되었습니다 ({by_ko}): {_said(codes, 0)}. {first_ko}",
        text_en=f"Weakened by {by_en}: {_said(codes, 1)}. {first_en}",
        action_ko="서명하지 않은 보관 책임자나 승인자가 확인하거나 취소하여야 합니다. 현장에서 할 일은 없습니다.",
        action_en="A vault officer or an approver who did not sign it confirms or cancels it. There is nothing to do in"
        " the closet.",
    )


def _said(codes: list[str], language: int) -> str:
    # A code that a later version has written has no words here.
    said = [f"{WORDS[code][language]} [{code}]" if code in WORDS else f"[{code}]" for code in codes[:MOST_SAID]]
    return ", ".join([*said, *([f"+{len(codes) - MOST_SAID}"] if len(codes) > MOST_SAID else [])])


def _first(standing: WeakeningState) -> tuple[str, str]:
    if standing.in_effect:
        return f"번호 {standing.id}.", f"Its number is {standing.id}."
    if standing.by == "file":
        return (
            f"번호 {standing.id}, 두 사람이 서명하지 않아 적용되지 않았습니다.",
            f"Its number is {standing.id}; it is not in effect, since two have not signed it.",
        )
    hours = -(-standing.waits_s // 3600)
    return (
        f"번호 {standing.id}, {hours}시간 뒤부터 통화가 없을 때 적용됩니다.",
        f"Its number is {standing.id}; it comes into effect in {hours} h, when no call is in progress.",
    )


CHECKS = (
    Check("policy_departs", clears="when the configuration no longer says so", look=policy_departs),
    Check("weakened", clears="when somebody else has confirmed or cancelled it", look=weakened),
)
