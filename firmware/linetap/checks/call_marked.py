# SPDX-License-Identifier: Apache-2.0
"""call_marked: a member of staff has marked the call in progress as abusive. Nothing of who calls is said."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "call_marked",
    clears="when the call ends",
    of_a_call=True,
    text_ko="{lines}: 직원이 진행 중인 통화를 악성 민원으로 표시했습니다.",
    text_en="{lines}: the staff member has marked the call in progress as abusive.",
    action_ko="{lines}의 직원을 도우십시오. 기기는 손대지 않아도 되며 드라이버는 필요 없습니다.",
    action_en="help the member of staff at {lines}. Nothing is wrong with the unit, and no screwdriver is needed.",
)
