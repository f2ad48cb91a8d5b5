# SPDX-License-Identifier: Apache-2.0
"""mark_far: the mark code was dialled in a call, and not, or not for certain, on the line's own telephone."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "mark_far",
    clears="when the call ends",
    of_a_call=True,
    text_ko="{lines}: 표시 코드가 이 회선의 전화기에서 눌렸는지 확인되지 않아 통화를 표시하지 않았습니다.",
    text_en="{lines}: the mark code came from the far end, or may have. The call is not marked.",
    action_ko=(
        "직원에게 물어보십시오. 직원이 눌렀다면 그 전화기로 밖에 한 번 걸거나 linetap line learn {first} 명령으로 "
        "전화기를 배우게 하십시오. 드라이버는 필요 없습니다."
    ),
    action_en=(
        "ask the member of staff. If they did dial it, one call out with that telephone teaches the unit how it dials, "
        "and so does linetap line learn {first}. No screwdriver is needed."
    ),
)
