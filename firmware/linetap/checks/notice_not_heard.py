# SPDX-License-Identifier: Apache-2.0
"""notice_not_heard: the notice was played to its end in several calls over some time, on a quiet line, and was not
heard. The line's calls are still announced, recorded and flagged."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "notice_not_heard",
    clears="when a call, a walk test or `linetap line learn` has heard the whole notice on the line",
    text_ko="{lines}에서 안내 방송이 들리지 않습니다. 통화는 계속 녹음되고 그 사실이 기록에 남습니다.",
    text_en="{lines}: the notice is not heard. Its calls are still recorded, and their records say so.",
    action_ko="드라이버로 {lines}의 단자와 릴레이 쪽 배선을 조인 뒤 linetap walk --line {first} 명령을 실행하십시오.",
    action_en=(
        "tighten the terminals of {lines} and the wires of its relay with a screwdriver, then run linetap "
        "walk --line {first}."
    ),
)
