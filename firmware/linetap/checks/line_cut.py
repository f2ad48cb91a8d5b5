# SPDX-License-Identifier: Apache-2.0
"""line_cut: a line has no voltage: its wires are loose, or cut on their way from the exchange."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "line_cut",
    clears="when the line has had its battery again for 3 s",
    text_ko="{lines}에 전압이 없습니다. 선이 빠졌거나 끊어져 통화할 수 없습니다.",
    text_en="{lines}: no voltage. The wires are loose or cut; there are no calls on it.",
    action_ko=(
        "드라이버로 {lines}의 단자 나사 두 개를 조이십시오. 두 단자 사이가 여전히 3 V 미만이면 통신사에 연락하십시오."
    ),
    action_en=(
        "tighten both terminal screws of {lines} with a screwdriver. If there are still less than 3 V between "
        "them, call the telephone company."
    ),
)
