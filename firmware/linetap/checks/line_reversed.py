# SPDX-License-Identifier: Apache-2.0
"""line_reversed: a line's two wires have changed places since it was learnt."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "line_reversed",
    clears="when the polarity on-hook is what was learnt, or `linetap line learn` has learnt the other",
    text_ko="{lines}의 극성이 바뀌었습니다. 응답 시각을 잘못 알 수 있습니다.",
    text_en="{lines}: the polarity is not what was learnt. When a call is answered may be told wrongly.",
    action_ko=(
        "드라이버로 {lines}의 두 선을 서로 바꾸어 끼우십시오. 통신사가 바꾼 것이면 linetap line learn {first} "
        "명령을 실행하십시오."
    ),
    action_en=(
        "swap the two wires of {lines} with a screwdriver. If the telephone company has changed them for "
        "good, run linetap line learn {first}."
    ),
)
