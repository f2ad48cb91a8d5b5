# SPDX-License-Identifier: Apache-2.0
"""mark_far: the mark code was dialled in a call, at a level that is not that of the line's own telephone."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "mark_far",
    severity="warning",
    led="ok",
    clears="when the call ends",
    of_a_call=True,
    text_ko="{lines}: 표시 코드가 상대방 쪽에서 들어왔습니다. 통화는 표시되지 않았습니다.",
    text_en="{lines}: the mark code came from the far end. The call is not marked.",
    action_ko=(
        "직원이 눌렀다면 linetap line learn {first} 명령으로 그 전화기의 음량을 배우게 하십시오. 드라이버는 "
        "필요 없습니다."
    ),
    action_en=(
        "if the member of staff did dial it, let linetap line learn {first} learn that telephone's level. No "
        "screwdriver is needed."
    ),
)
