# SPDX-License-Identifier: Apache-2.0
"""battery_low: a line's voltage on-hook is far below what it was, or what an exchange gives."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "battery_low",
    clears="when the voltage on-hook has been 1 V above the limit for 3 s",
    text_ko="{lines}의 대기 전압이 낮습니다.",
    text_en="{lines}: the voltage on-hook is low.",
    action_ko=(
        "드라이버로 {lines}의 단자를 조이고 다른 기기가 병렬로 물려 있는지 보십시오. 그대로면 통신사나 PBX "
        "업체에 연락하십시오."
    ),
    action_en=(
        "tighten the terminals of {lines} with a screwdriver and look for other devices on the same wires. If "
        "it stays, call the telephone company or whoever keeps the PBX."
    ),
)
