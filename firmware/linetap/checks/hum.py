# SPDX-License-Identifier: Apache-2.0
"""hum: the mains and its harmonics are loud on a line."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "hum",
    clears="when the hum is 3 dB below the limit",
    text_ko="{lines}에 전원 잡음(험)이 큽니다. 말소리가 묻힐 수 있습니다.",
    text_en="{lines}: the hum of the mains is loud and may cover what is said.",
    action_ko=(
        "{lines}의 배선이 전원선 옆을 지나는지, 피복이 벗겨져 접지에 닿는지 보고 드라이버로 단자를 다시 조이십시오."
    ),
    action_en=(
        "see whether the wires of {lines} lie beside mains cables or touch earth, and tighten their terminals "
        "with a screwdriver."
    ),
)
