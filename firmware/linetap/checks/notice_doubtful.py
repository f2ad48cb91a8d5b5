# SPDX-License-Identifier: Apache-2.0
"""notice_doubtful: the notice of the last call was played and was not heard on the line; some more and the line is at
fault."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "notice_doubtful",
    clears="when a notice was heard on the line, or `linetap line learn` has heard it",
    text_ko="{lines}: 지난 통화에서 안내 방송이 회선에서 확인되지 않았습니다. 녹음에 그렇게 적혀 있습니다.",
    text_en="{lines}: the notice of the last call was not heard on the line. Its record says so.",
    action_ko="드라이버로 {lines}의 단자와 릴레이 쪽 배선을 조인 뒤 linetap line learn {first} 명령을 실행하십시오.",
    action_en=(
        "tighten the terminals of {lines} and the wires of its relay with a screwdriver, then run linetap "
        "line learn {first}."
    ),
)
