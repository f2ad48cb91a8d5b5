# SPDX-License-Identifier: Apache-2.0
"""long_call: a call has become longer than the recommended time."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "long_call",
    clears="when the call ends",
    of_a_call=True,
    text_ko="{lines}: 통화가 권장 시간을 넘었습니다.",
    text_en="{lines}: the call is longer than the recommended time.",
    action_ko="{lines}의 직원에게 도움이 필요한지 물어보십시오. 드라이버는 필요 없습니다.",
    action_en="ask the member of staff at {lines} whether help is needed. No screwdriver is needed.",
)
