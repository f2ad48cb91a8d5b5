# SPDX-License-Identifier: Apache-2.0
"""line_short: a line reads a few volts and nothing is heard on it: its wires touch each other somewhere."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "line_short",
    clears="when the line has had its battery again, or a voice was on it, for 3 s",
    text_ko="{lines}의 두 선이 서로 닿은 것 같습니다. 전압이 몇 볼트뿐이고 소리가 없습니다.",
    text_en="{lines}: a few volts and no sound. The two wires seem to touch.",
    action_ko=(
        "드라이버로 {lines}의 두 선을 단자에서 풀어 보십시오. 그래도 전압이 낮으면 교환기 쪽, 돌아오면 전화기 "
        "쪽 배선이 문제입니다."
    ),
    action_en=(
        "take both wires of {lines} off their terminals with a screwdriver: if the voltage stays low the "
        "fault is towards the exchange, else towards the telephone."
    ),
)
