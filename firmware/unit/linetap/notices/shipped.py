# SPDX-License-Identifier: Apache-2.0
"""The texts of the shipped notices, and their settings of espeak-ng.

A notice that ends a call names the reason, where to complain, and the legal ground, and its last words are the end
itself, so that it is also right on a line where staff hang up after it. The reason must be given before the call is
ended: Enforcement Decree of the Civil Petitions Treatment Act (민원 처리에 관한 법률 시행령), article 4(1) no. 8; the
recommended time is no. 7; repeated calls, article 4(2) of the Act. docs/ending-a-call.md has the sources.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_END_S = 12.0
_PITCH, _WORDS_A_MINUTE = 50, 175  # espeak-ng's defaults


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a notice. `pitch`: espeak-ng's, 0 to 99. Notices share sentences: with equal pitch the echo of one
    proved up to 73 % of another; with a difference of four, 7 %, which is chance.
    """

    text: str
    language: str = "ko"
    pitch: int = _PITCH
    words_a_minute: int = _WORDS_A_MINUTE
    longest_s: float = LONGEST_END_S


_OBJECT = "이의는 감사부서나 국민신문고에 제기하실 수 있습니다."
_DECREE = "민원처리법 시행령 제4조에 따라 통화를 종료합니다."
_ACT = "민원처리법 제4조에 따라 통화를 종료합니다."
_OBJECT_EN = "You may complain to the audit office or at e-People."
_UNDER_EN = "under Article 4 of the Enforcement Decree of the Civil Petitions Treatment Act"
_DECREE_EN = f"U{_UNDER_EN[1:]}, this call ends now."
_ACT_EN = "Under Article 4 of the Civil Petitions Treatment Act, this call ends now."

# id: Korean, English
_ENDS = {
    "end-abuse": (
        f"폭언으로 상담을 계속할 수 없습니다. {_OBJECT} {_DECREE}",
        f"We cannot go on because of abusive language. {_OBJECT_EN} {_DECREE_EN}",
    ),
    "end-sexual-harassment": (
        f"성희롱으로 상담을 계속할 수 없습니다. {_OBJECT} {_DECREE}",
        f"We cannot go on because of sexual harassment. {_OBJECT_EN} {_DECREE_EN}",
    ),
    "end-threat": (
        f"협박으로 상담을 계속할 수 없습니다. {_OBJECT} {_DECREE}",
        f"We cannot go on because of a threat. {_OBJECT_EN} {_DECREE_EN}",
    ),
    "end-overlong": (
        f"권장 통화 시간이 지났습니다. {_OBJECT} {_DECREE}",
        f"The recommended time of a call is over. {_OBJECT_EN} {_DECREE_EN}",
    ),
    "end-repeated": (
        f"같은 내용의 전화가 반복되고 있습니다. {_OBJECT} {_ACT}",
        f"Calls of the same content are being repeated. {_OBJECT_EN} {_ACT_EN}",
    ),
    "warn-overlong": (
        "상담 시간이 길어지고 있습니다. 민원처리법 시행령 제4조에 따른 권장 시간이 지나면 안내 후 통화가 종료됩니다.",
        f"This call has become long. When the recommended time {_UNDER_EN} is over, it ends after a notice.",
    ),
}

# espeak-ng needs 12 s for the complete legal text, and callers hang up during it: the notice of the recording states
# only the recording, its reason and its recorder.
ANNOUNCEMENTS = {
    "ko": Words("이 통화는 민원 업무와 담당자 보호를 위해 녹음됩니다.", longest_s=6.0),
    "en": Words("This call is recorded for public service and staff protection.", "en", longest_s=6.0),
}
_FIRST_PITCH, _PITCH_STEP, _BRISK = 30, 4, 188
_KOREAN = {
    name: Words(ko, "ko", _FIRST_PITCH + _PITCH_STEP * i, _BRISK) for i, (name, (ko, _)) in enumerate(_ENDS.items())
}
_ENGLISH = {
    f"{name}-en": Words(en, "en", _FIRST_PITCH + _PITCH_STEP * i) for i, (name, (_, en)) in enumerate(_ENDS.items())
}
SHIPPED = {**ANNOUNCEMENTS, **_KOREAN, **_ENGLISH}
