# SPDX-License-Identifier: Apache-2.0
"""weakened: less is recorded, announced, kept or told than before, and nobody but who signed it has confirmed that."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.config.weakening import WORDS
from linetap.records import RecorderState, WeakeningState

MOST_SAID = 3  # codes, of all; `linetap command state` has the rest

_BY_KO = {
    "command": "서명된 명령",
    "file": "기기에서 바뀐 파일",
    "update": "업데이트",
    "authority": "역할과 열쇠를 정하는 서명",
}
_BY_EN = {
    "command": "a signed command",
    "file": "a file that was changed on the unit",
    "update": "an update",
    "authority": "the authority's signature",
}


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    standing = recorder.weakenings
    if not standing:
        return None
    codes = list(dict.fromkeys(code for each in standing for code in each.codes))
    by = list(dict.fromkeys(each.by for each in standing))
    by_ko, by_en = ", ".join(_BY_KO[each] for each in by), ", ".join(_BY_EN[each] for each in by)
    first_ko, first_en = _first(standing[0])
    return Trouble(
        severity="warning",
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


CHECK = Check(id="weakened", clears="when somebody else has confirmed or cancelled it", look=look)
