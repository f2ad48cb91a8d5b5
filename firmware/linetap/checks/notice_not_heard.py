# SPDX-License-Identifier: Apache-2.0
"""notice_not_heard: the notice was played in several calls running and was not heard on the line, which discards its
calls now."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "notice_not_heard",
    severity="critical",
    led="line_fault",
    clears="when a walk test, or `linetap line learn`, has heard the notice on the line",
    text_ko="{lines}에서 안내 방송이 들리지 않습니다. 점검이 끝날 때까지 통화를 버립니다.",
    text_en="{lines}: the notice is not heard. Its calls are discarded until a walk test.",
    action_ko="드라이버로 {lines}의 단자와 릴레이 쪽 배선을 조인 뒤 linetap walk --line {first} 명령을 실행하십시오.",
    action_en=(
        "tighten the terminals of {lines} and the wires of its relay with a screwdriver, then run linetap "
        "walk --line {first}."
    ),
)
